// How the worker's memory allocator (jemalloc) behaves: freed memory is kept for the next step, whose
// activations then need no fresh pages from the kernel. The environment variable MALLOC_CONF goes
// before this.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0";
}
