"""The books of a connection: kept, withheld when wrong, fetched again; and how whole ones are compared."""
