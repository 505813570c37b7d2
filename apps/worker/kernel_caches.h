// What the product kernels keep beside the weights.
#pragma once

namespace moesaic::worker {

/// For verbs where memory counts; before the first product. oneDNN and its wrapper in LibTorch keep
/// 1,024 compiled products each, one for every shape: with experts almost every product has a shape
/// of its own, and a rank grows by 0.4 GB that is hardly used again.
void bound_kernel_caches();

}  // namespace moesaic::worker
