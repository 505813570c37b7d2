// The CUDA device of this machine, for programs that are linked with the CPU part of LibTorch
// alone: they run everywhere, and say why there is none.
#pragma once

#include <ATen/Context.h>
#include <dlfcn.h>

#include <optional>
#include <string>

namespace moesaic::test {

struct CudaDevice {
  std::optional<at::Device> device;
  std::string reason;  // why there is none
};

/// Loads LibTorch's CUDA part; to be called before LibTorch is asked for CUDA by anything else.
inline CudaDevice find_cuda_device() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* error = dlerror();
    return {std::nullopt, std::string("no CUDA device: LibTorch's CUDA part does not load: ") +
                              (error == nullptr ? "?" : error)};
  }
  if (at::detail::getCUDAHooks().getNumGPUs() == 0)
    return {std::nullopt, "no CUDA device: the driver shows none"};
  return {at::Device(at::kCUDA, 0), ""};
}

}  // namespace moesaic::test
