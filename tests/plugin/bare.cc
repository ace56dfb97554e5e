// A library that is no plug-in.

int atoll_nothing() { return 0; }
