/* The limit that the book's kernel is measured against: read a v2 book frame, apply it, truncate to depth, checksum the
 * top ten, compare.
 *
 *     cc -O3 -o yardstick yardstick.c && ./yardstick FRAMES DEPTH ROUNDS
 *
 * FRAMES has one frame a line. This program believes whatever it reads: that a frame has exactly the shape Kraken sends,
 * that numbers are plain and prices of a symbol have the same number of decimals, that a line ends in a newline. It makes
 * no event and takes no memory while it runs. A real client must not be so trusting, and is compared with this one to see
 * what its care costs. Prints the number of book frames, how many checksums matched, and for each round its nanoseconds
 * per book frame. */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROOM = 4096, NAMES = 256, DIGITS = 46, TOP = 10 };

struct text { unsigned char size; char digits[DIGITS + 1]; };   /* price and quantity as the checksum wants them */

/* Keys ascend to the best, so asks' are negative. The window [low, high) moves within the room, so that the worst level
 * is dropped by moving its edge; each key's text is found by its slot. */
struct side {
    int low, high, spares;
    int64_t key[ROOM];
    uint16_t slot[ROOM], spare[ROOM];
    struct text text[ROOM];
};

struct book { char name[24]; size_t name_size; struct side sides[2]; };

static struct book *books[NAMES];
static uint32_t steps[16][256];

static void prepare_crc(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (0xEDB88320u & -(sum & 1));
        steps[0][byte] = sum;
    }
    for (int step = 1; step < 16; step++)
        for (int byte = 0; byte < 256; byte++)
            steps[step][byte] = (steps[step - 1][byte] >> 8) ^ steps[0][steps[step - 1][byte] & 0xFF];
}

static uint32_t four(uint32_t word, int step) {
    return steps[step + 3][word & 0xFF] ^ steps[step + 2][word >> 8 & 0xFF] ^ steps[step + 1][word >> 16 & 0xFF] ^
           steps[step][word >> 24];
}

static uint32_t crc(const char *bytes, size_t size) {
    uint32_t sum = ~0u, word[4];
    for (; size >= 16; size -= 16, bytes += 16) {
        memcpy(word, bytes, 16);
        sum = four(word[0] ^ sum, 12) ^ four(word[1], 8) ^ four(word[2], 4) ^ four(word[3], 0);
    }
    for (; size >= 4; size -= 4, bytes += 4) {
        memcpy(word, bytes, 4);
        sum = four(word[0] ^ sum, 0);
    }
    for (; size; size--, bytes++) sum = sum >> 8 ^ steps[0][(sum ^ (unsigned char)*bytes) & 0xFF];
    return ~sum;
}

static void empty(struct side *side) {
    side->low = side->high = ROOM / 4 * 3;      /* a snapshot begins with the best and grows downwards */
    side->spares = ROOM;
    for (int i = 0; i < ROOM; i++) side->spare[i] = (uint16_t)i;
}

static void shift(struct side *side, int to, int from, int count) {
    memmove(&side->key[to], &side->key[from], (size_t)count * sizeof side->key[0]);
    memmove(&side->slot[to], &side->slot[from], (size_t)count * sizeof side->slot[0]);
}

static void set(struct side *side, int64_t key, int gone, const struct text *text) {
    int reach = 1, at = side->low, end = side->high;
    while (end - reach >= side->low && side->key[end - reach] >= key) reach *= 2;
    if (end - reach >= side->low) at = end - reach + 1;
    for (end -= reach / 2; at < end;) {
        int middle = (at + end) / 2;
        if (side->key[middle] < key) at = middle + 1; else end = middle;
    }
    int below = at - side->low, above = side->high - at;
    if (above && side->key[at] == key) {
        if (!gone) { side->text[side->slot[at]] = *text; return; }
        side->spare[side->spares++] = side->slot[at];
        if (below < above) { shift(side, side->low + 1, side->low, below); side->low++; }
        else { shift(side, at, at + 1, above - 1); side->high--; }
        return;
    }
    if (gone) return;
    if (below < above ? side->low == 0 : side->high == ROOM) {
        int low = (ROOM - below - above) / 2;
        shift(side, low, side->low, below + above);
        side->low = low; side->high = low + below + above; at = low + below;
    }
    if (below < above) { side->low--; at--; shift(side, side->low, side->low + 1, below); }
    else { shift(side, at + 1, at, above); side->high++; }
    side->key[at] = key;
    side->slot[at] = side->spare[--side->spares];
    side->text[side->slot[at]] = *text;
}

static const char *number(const char *p, int64_t *value, struct text *text) {
    int64_t sum = 0;
    int size = text->size, started = 0;
    for (;; p++) {
        unsigned digit = (unsigned char)(*p - '0');
        if (digit < 10) {
            sum = sum * 10 + digit;
            started |= digit != 0;
            text->digits[size] = *p;
            size += started;
        } else if (*p != '.') break;
    }
    *value = sum;
    text->size = (unsigned char)size;
    return p;
}

static const char *levels(const char *p, struct side *side, int sign, int depth) {
    while (*p != ']') {
        struct text text = {0};
        int64_t price, qty;
        p = number(p + strlen("{\"price\":"), &price, &text);
        p = number(p + strlen(",\"qty\":"), &qty, &text);
        set(side, sign * price, qty == 0, &text);
        p += strlen("}");
        if (*p == ',') p++;
    }
    while (side->high - side->low > depth) side->spare[side->spares++] = side->slot[side->low++];
    return p + strlen("]");
}

static struct book *find(const char *name, size_t size) {
    unsigned place = (unsigned)size;
    for (size_t i = 0; i < size; i++) place = place * 31 + (unsigned char)name[i];
    for (place %= NAMES; books[place]; place = (place + 1) % NAMES)
        if (books[place]->name_size == size && !memcmp(books[place]->name, name, size)) return books[place];
    struct book *book = books[place] = calloc(1, sizeof *book);
    memcpy(book->name, name, size);
    book->name_size = size;
    empty(&book->sides[0]);
    empty(&book->sides[1]);
    return book;
}

static uint32_t checksum(const struct book *book) {
    char text[2 * TOP * sizeof(struct text)];
    size_t size = 0;
    for (int i = 1; i >= 0; i--) {
        const struct side *side = &book->sides[i];
        for (int at = side->high - 1; at >= side->low && at >= side->high - TOP; at--) {
            const struct text *level = &side->text[side->slot[at]];
            memcpy(text + size, level->digits, DIGITS);
            size += level->size;
        }
    }
    return crc(text, size);
}

/* 1: the checksum matches, 0: it does not, -1: not a book's frame. */
static int receive(const char *p, const char *end, int depth) {
    static const char head[] = "{\"channel\":\"book\",\"type\":\"";
    if (end - p < 60 || memcmp(p, head, sizeof head - 1)) return -1;
    p += sizeof head - 1;
    int snapshot = *p == 's';
    p += strlen(snapshot ? "snapshot\",\"data\":[{\"symbol\":\"" : "update\",\"data\":[{\"symbol\":\"");
    const char *name = p;
    while (*p != '"') p++;
    struct book *book = find(name, (size_t)(p - name));
    if (snapshot) { empty(&book->sides[0]); empty(&book->sides[1]); }
    p = levels(p + strlen("\",\"bids\":["), &book->sides[0], 1, depth);
    p = levels(p + strlen(",\"asks\":["), &book->sides[1], -1, depth);
    uint32_t expected = 0;
    for (p += strlen(",\"checksum\":"); *p >= '0' && *p <= '9'; p++) expected = expected * 10 + (uint32_t)(*p - '0');
    return checksum(book) == expected;
}

int main(int count, char **arguments) {
    if (count != 4) return fprintf(stderr, "usage: %s FRAMES DEPTH ROUNDS\n", arguments[0]), 2;
    int depth = atoi(arguments[2]), rounds = atoi(arguments[3]);
    FILE *file = fopen(arguments[1], "rb");
    if (!file || fseek(file, 0, SEEK_END)) return perror(arguments[1]), 2;
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(size + 1);
    if (!data || fread(data, 1, size, file) != size) return perror(arguments[1]), 2;
    data[size] = '\n';
    prepare_crc();
    for (int round = 0; round < rounds; round++) {
        struct timespec start, stop;
        long frames = 0, matched = 0;
        for (int i = 0; i < NAMES; i++) { free(books[i]); books[i] = NULL; }
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (const char *p = data, *end; p < data + size; p = end + 1) {
            end = memchr(p, '\n', (size_t)(data + size + 1 - p));
            int result = receive(p, end, depth);
            frames += result >= 0;
            matched += result > 0;
        }
        clock_gettime(CLOCK_MONOTONIC, &stop);
        double ns = (double)(stop.tv_sec - start.tv_sec) * 1e9 + (double)(stop.tv_nsec - start.tv_nsec);
        printf("%ld %ld %.2f\n", frames, matched, ns / (double)(frames ? frames : 1));
    }
    return 0;
}
