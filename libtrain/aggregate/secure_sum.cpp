#include "aggregate/secure_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

std::uint64_t ring_mask(const SumFormat& format) {
  return format.bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << format.bits) - 1;
}

// values +- the words of a stream, which are little endian.
template <class Word>
void mix_in(std::span<const std::byte> stream, bool take_away, std::span<std::uint64_t> values) {
  static_assert(std::endian::native == std::endian::little);
  for (std::size_t i = 0; i < values.size(); ++i) {
    Word word = 0;
    std::memcpy(&word, stream.data() + i * sizeof(Word), sizeof(Word));
    values[i] = static_cast<Word>(take_away ? values[i] - word : values[i] + word);
  }
}

}  // namespace

void require_room(const SumFormat& format, std::size_t silos) {
  MOESAIC_CHECK(format.bits == 32 || format.bits == 64, ErrorKind::kRecipe,
                "a ring of 2^{} elements; it is 2^32 or 2^64", format.bits);
  MOESAIC_CHECK(format.clip > 0 && std::isfinite(format.clip) && format.levels > 0,
                ErrorKind::kRecipe, "clip {} and levels {} of a secure sum must be positive",
                format.clip, format.levels);
  constexpr std::int64_t kExact = std::int64_t{1} << 53;  // of float64
  const std::uint64_t half = std::uint64_t{1} << (format.bits - 1);
  const auto levels = static_cast<std::uint64_t>(format.levels);
  MOESAIC_CHECK(format.levels <= kExact && silos <= (half - 1) / levels, ErrorKind::kRecipe,
                "the sum of {} silos with {} levels does not fit a ring of 2^{} elements", silos,
                format.levels, format.bits);
}

std::vector<std::uint64_t> quantised(const SumFormat& format, std::span<const double> values) {
  std::vector<std::uint64_t> words;
  words.reserve(values.size());
  for (const double value : values) {
    MOESAIC_CHECK(std::isfinite(value), ErrorKind::kData,
                  "a change with values that are not finite cannot be added up");
    const double inside = std::clamp(value, -format.clip, format.clip) / format.clip;
    const double level = std::nearbyint(inside * static_cast<double>(format.levels));
    const auto integer = static_cast<std::int64_t>(level);
    words.push_back(static_cast<std::uint64_t>(integer) & ring_mask(format));
  }
  return words;
}

std::vector<double> dequantised(const SumFormat& format, std::span<const std::uint64_t> sum) {
  const int unused = 64 - format.bits;
  std::vector<double> values;
  values.reserve(sum.size());
  for (const std::uint64_t word : sum) {
    const std::int64_t integer = static_cast<std::int64_t>(word << unused) >> unused;
    values.push_back(static_cast<double>(integer) / static_cast<double>(format.levels) *
                     format.clip);
  }
  return values;
}

void add_in_ring(const SumFormat& format, std::span<const std::uint64_t> values,
                 std::span<std::uint64_t> sum) {
  MOESAIC_CHECK(values.size() == sum.size(), ErrorKind::kData,
                "a masked change has {} values, the sum {}", values.size(), sum.size());
  const std::uint64_t mask = ring_mask(format);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = (sum[i] + values[i]) & mask;
}

void add_mask(const SumFormat& format, const SecretKey& key, std::uint64_t nonce, bool take_away,
              std::span<std::uint64_t> values, std::uint64_t first) {
  constexpr std::size_t kBytes = 1 << 14;  // at a time: 256 blocks of the cipher
  std::array<std::byte, kBytes> bytes;
  const auto width = static_cast<std::size_t>(format.bits / 8);
  MOESAIC_ASSERT(first % kMaskStep == 0);
  std::uint64_t block = first * width / 64;
  for (std::size_t done = 0; done < values.size(); done += kBytes / width) {
    const auto some = values.subspan(done, std::min(kBytes / width, values.size() - done));
    const std::span<std::byte> stream = std::span(bytes).first(some.size() * width);
    key.stream(nonce, block, stream);
    block += kBytes / 64;
    if (format.bits == 32) mix_in<std::uint32_t>(stream, take_away, some);
    if (format.bits == 64) mix_in<std::uint64_t>(stream, take_away, some);
  }
}

void mask_change(const SumFormat& format, const std::string& name, const PairKey& key,
                 const SecretKey& self_seed, const RoundKeys& keys, const std::string& label,
                 std::uint64_t nonce, std::span<std::uint64_t> values, std::uint64_t first) {
  add_mask(format, self_seed, nonce, false, values, first);
  for (const auto& [peer, public_key] : keys) {
    if (peer == name) continue;
    add_mask(format, key.shared_with(public_key, label), nonce, peer < name, values, first);
  }
}

void remove_dropped(const SumFormat& format, const std::string& dropped, const PairKey& key,
                    const RoundKeys& stayed, const std::string& label, std::uint64_t nonce,
                    std::span<std::uint64_t> sum, std::uint64_t first) {
  // What the dropped silo would have added is what the others' masks with it lack.
  for (const auto& [peer, public_key] : stayed) {
    if (peer == dropped) continue;
    add_mask(format, key.shared_with(public_key, label), nonce, peer < dropped, sum, first);
  }
}

}  // namespace moesaic::aggregate
