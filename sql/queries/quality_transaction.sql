-- purpose: opens every transaction of a suite: it may not write, speaks UTC, and is not worth compiling
set transaction read only; set local timezone = 'UTC'; set local jit = off
