// nf4_codes FILE: the float32 numbers of a file in NF4, as parallel/quantise makes it, on standard
// output: codes, scales, their codes, outer scales, mean, and the numbers that come back.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "arch/storage.h"
#include "parallel/quantise.h"

namespace {

std::vector<float> numbers_in(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::copy_n(bytes.data(), numbers.size() * sizeof(float),
              reinterpret_cast<char*>(numbers.data()));
  return numbers;
}

template <class T>
void write(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

}  // namespace

int main(int count, char** arguments) {
  using namespace moesaic;
  if (count != 2) return 2;
  std::vector<float> numbers = numbers_in(arguments[1]);
  const arch::Nf4Layout layout{std::ssize(numbers)};
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(layout.code_bytes()));
  std::vector<float> scales(static_cast<std::size_t>(layout.blocks()));
  std::vector<std::uint8_t> scale_codes(scales.size());
  std::vector<float> outer_scales(static_cast<std::size_t>(layout.outer_blocks()));
  nf4::quantise_blocks(numbers, codes, scales);
  const float mean = nf4::quantise_scales(scales, scale_codes, outer_scales);
  write(codes), write(scales), write(scale_codes), write(outer_scales);
  write(std::vector<float>{mean});
  nf4::dequantise_scales(scale_codes, outer_scales, mean, scales);
  nf4::dequantise_blocks(codes, scales, numbers);
  write(numbers);
}
