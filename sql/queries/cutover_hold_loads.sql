-- purpose: let every load that has begun end, and none begin, until this transaction ends
lock table load in share mode
