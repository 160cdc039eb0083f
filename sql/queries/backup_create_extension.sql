-- purpose: create an extension as the backup had it
create extension if not exists {extension} with schema {schema} {version}
