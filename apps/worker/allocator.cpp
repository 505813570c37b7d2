// How the worker's memory allocator (jemalloc) behaves: freed memory is kept for the next step,
// whose activations then need no fresh pages from the kernel, and a free block of any size may be
// divided (by default none of more than 64 times the wanted size is: then a step that frees most of
// its memory in one piece cannot use it again, and the process grows). The environment variable
// MALLOC_CONF goes before this.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf =
    "dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0,lg_extent_max_active_fit:64";
}
