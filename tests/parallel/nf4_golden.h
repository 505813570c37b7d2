// What bitsandbytes 0.50.2 makes of the values of quantise_test.cpp; written by scripts/golden/nf4.py.
#pragma once

#include <array>
#include <cstdint>

// clang-format off
namespace moesaic::test {

enum class Kind { kPlain, kCubed, kOdd, kZeros, kOneHuge, kBorders };

/// Digests (FNV-1a) of the bytes of each part, and of the numbers that come back.
struct Nf4Golden {
  Kind kind;
  std::uint32_t seed;
  std::int64_t count;
  std::uint64_t codes, scales, scale_codes, outer_scales, mean, numbers;
  std::array<std::uint8_t, 32> first_codes;  // of the first 64 values
};

inline constexpr std::uint64_t kScaleNumbers = 0xd677f22a96665bc4ULL;

inline constexpr std::array<Nf4Golden, 6> kNf4Golden = {{
    {Kind::kPlain, 6U, 2560, 0xe919019c93ea8d98ULL, 0xfcd4e2a26f3fcae9ULL, 0x5118cf2599c3e94cULL, 0x63acbbabe8fbf051ULL, 0x5caae4707d0e5d86ULL, 0x1988f4d37bdb950dULL, {46, 254, 65, 241, 159, 126, 105, 67, 165, 31, 191, 91, 206, 146, 62, 239, 16, 65, 209, 70, 165, 241, 193, 110, 11, 51, 17, 208, 46, 228, 1, 21}},
    {Kind::kCubed, 3U, 44805, 0x28fbffa0770bf65dULL, 0x521b84cfe229fb3aULL, 0x88033eb81b1538e8ULL, 0xd1cd9c7747c9862cULL, 0x210f3c752e8b729dULL, 0x693206a072fc6f13ULL, {87, 201, 124, 119, 25, 74, 120, 141, 71, 102, 117, 119, 119, 157, 207, 39, 101, 71, 71, 128, 121, 103, 212, 103, 71, 136, 26, 123, 100, 231, 39, 61}},
    {Kind::kOdd, 1U, 129, 0xadb6e06a03cb933aULL, 0x52852df839127034ULL, 0x3a97e61c9a70d406ULL, 0x88254b1580e7807aULL, 0xe4fbbe46bd191d2fULL, 0x33888e0fb42a57a9ULL, {36, 124, 4, 216, 10, 37, 158, 47, 227, 184, 33, 3, 28, 148, 45, 241, 79, 88, 111, 236, 255, 20, 177, 113, 158, 48, 242, 224, 64, 65, 213, 26}},
    {Kind::kZeros, 1U, 70, 0xa645478052bb2fccULL, 0xe076ac1477372c9aULL, 0x0831c907b4ea2b60ULL, 0xd30a7720fa0b91ebULL, 0xd30a7720fa0b91ebULL, 0x09bd80efa0653705ULL, {119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119, 119}},
    {Kind::kOneHuge, 1U, 19200, 0xc5a792980ed84bcbULL, 0xca34d1e47090acb6ULL, 0x75b76aafeb4be131ULL, 0x1ec8c069cfe253c6ULL, 0x5d8ddae71968563eULL, 0x43a747f2c89652cfULL, {36, 124, 4, 216, 10, 37, 158, 47, 227, 184, 33, 3, 28, 148, 45, 241, 79, 88, 111, 236, 255, 20, 177, 113, 158, 48, 242, 224, 64, 65, 213, 26}},
    {Kind::kBorders, 1U, 128, 0x5c8563b4d1994c13ULL, 0x0b2d58ee2f147975ULL, 0x08328807b4eb6fedULL, 0x4d25767f9dce13f5ULL, 0x4b72477f9c5c2f98ULL, 0x9ea7b3bac2c1aa79ULL, {1, 35, 69, 103, 137, 171, 205, 239, 1, 35, 69, 103, 137, 171, 205, 224, 18, 52, 86, 120, 154, 188, 222, 240, 18, 52, 86, 120, 154, 188, 222, 1}},
}};

}  // namespace moesaic::test
// clang-format on
