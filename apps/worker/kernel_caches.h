// What the product kernels keep beside the weights.
#pragma once

namespace moesaic::worker {

/// Before the first product. oneDNN and its wrapper in LibTorch keep 1,024 compiled products each,
/// one for every shape: with experts almost every product has a shape of its own, and a rank grows
/// by 0.15 GB a step that is hardly used again.
void bound_kernel_caches();

}  // namespace moesaic::worker
