"""The books of a connection: kept, withheld when wrong, fetched again, and audited below the proven levels."""
