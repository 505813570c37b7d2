#include "aggregate/secure_silo.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

constexpr std::size_t kShareBytes = 8 * 6;  // x and five numbers
constexpr std::size_t kProofBytes = SecretKey::kBytes;
constexpr std::size_t kSealedBytes = 2 * kShareBytes + kProofBytes;

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

// Error(kData) unless the text is `bytes.size()` bytes in hexadecimal digits.
void read_hex(const std::string& text, std::span<std::byte> bytes) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  bool good = text.size() == 2 * bytes.size();
  for (std::size_t i = 0; good && i < bytes.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) bytes[i] = static_cast<std::byte>(16 * high + low);
  }
  MOESAIC_CHECK(good, ErrorKind::kData, "{} bytes in hexadecimal digits were expected",
                bytes.size());
}

void write_share(const Share& share, std::byte* bytes) {
  std::memcpy(bytes, &share.x, 8);
  std::memcpy(bytes + 8, share.y.data(), 8 * share.y.size());
}

Share read_share(const std::byte* bytes) {
  Share share;
  std::memcpy(&share.x, bytes, 8);
  std::memcpy(share.y.data(), bytes + 8, 8 * share.y.size());
  return share;
}

Json json_of(const Share& share) {
  Json json = Json::array({share.x});
  for (const std::uint64_t y : share.y) json.push_back(y);
  return json;
}

Share share_from(const Json& json) {
  const bool good = json.is_array() && json.size() == 6 &&
                    std::all_of(json.begin(), json.end(),
                                [](const Json& one) { return one.is_number_unsigned(); });
  MOESAIC_CHECK(good, ErrorKind::kData, "a share of a secret is six whole numbers");
  Share share{.x = json[0].get<std::uint64_t>()};
  for (std::size_t i = 0; i < share.y.size(); ++i) share.y[i] = json[i + 1].get<std::uint64_t>();
  return share;
}

/// Both directions between two silos have a stream of their own.
void add_stream(const SecretKey& key, const std::string& sender, const std::string& receiver,
                std::span<std::byte> bytes) {
  std::array<std::byte, 2 * kShareBytes> stream{};
  key.stream(sender < receiver ? 0 : 1, 0, stream);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] ^= stream[i];
}

/// What whoever has the key alone can make of sender and bytes.
SecretKey proof_of(const SecretKey& key, const std::string& sender,
                   std::span<const std::byte> bytes) {
  return key.derived("moesaic sealed " + sender + " " + hex_of(bytes));
}

std::string sealing_label(const std::string& label) { return label + " shares"; }

}  // namespace

std::string text_of(const PublicKey& key) { return hex_of(key); }

PublicKey public_key_from(const std::string& text) {
  PublicKey key{};
  read_hex(text, key);
  (void)PairKey(SecretKey::from_system()).shared_with(key, "");  // refuses it, or nobody's
  return key;
}

void require_sealed(const std::string& text) {
  std::array<std::byte, kSealedBytes> bytes{};
  read_hex(text, bytes);
}

SecureSilo::SecureSilo(std::string name, std::string label)
    : name_(std::move(name)),
      label_(std::move(label)),
      key_(SecretKey::from_system()),
      seed_(SecretKey::from_system()) {}

SealedShares SecureSilo::seal(const RoundKeys& keys, std::size_t threshold) {
  const auto mine = keys.find(name_);
  MOESAIC_CHECK(keys_.empty(), ErrorKind::kData, "silo {} has given its shares already", name_);
  MOESAIC_CHECK(mine != keys.end() && mine->second == public_key(), ErrorKind::kData,
                "the keys of the round do not hold that of silo {}", name_);
  MOESAIC_CHECK(threshold >= 2 && keys.size() >= threshold, ErrorKind::kData,
                "{} silos have given keys, and {} are needed", keys.size(), threshold);
  keys_ = keys;
  threshold_ = threshold;
  const auto seeds = shares_of(seed_, keys.size(), threshold, SecretKey::from_system());
  const auto pairs = shares_of(key_.secret(), keys.size(), threshold, SecretKey::from_system());
  SealedShares sealed;
  std::size_t i = 0;
  for (const auto& [peer, public_key] : keys) {
    const Shares shares{seeds[i], pairs[i]};
    ++i;
    own_[peer] = shares;
    if (peer == name_) continue;
    std::array<std::byte, kSealedBytes> bytes{};
    write_share(shares.seed, bytes.data());
    write_share(shares.key, bytes.data() + kShareBytes);
    const SecretKey between = key_.shared_with(public_key, sealing_label(label_));
    const auto hidden = std::span(bytes).first<2 * kShareBytes>();
    add_stream(between, name_, peer, hidden);
    const SecretKey proof = proof_of(between, name_, hidden);
    std::copy(proof.bytes().begin(), proof.bytes().end(), bytes.begin() + 2 * kShareBytes);
    sealed[peer] = hex_of(bytes);
  }
  return sealed;
}

void SecureSilo::mask(const SumFormat& format, const std::set<std::string>& silos,
                      std::uint64_t nonce, std::span<std::uint64_t> values,
                      std::uint64_t first) const {
  RoundKeys keys;
  for (const std::string& silo : silos) {
    const auto found = keys_.find(silo);
    MOESAIC_CHECK(found != keys_.end(), ErrorKind::kData, "silo {} has given no key", silo);
    keys.insert(*found);
  }
  MOESAIC_CHECK(keys.size() >= threshold_ && keys.contains(name_), ErrorKind::kData,
                "a sum over {} silos, and {} are needed", keys.size(), threshold_);
  mask_change(format, name_, key_, seed_, keys, label_, nonce, values, first);
}

SecureSilo::Shares SecureSilo::opened(const std::string& sender, const std::string& text) const {
  const auto key = keys_.find(sender);
  MOESAIC_CHECK(key != keys_.end(), ErrorKind::kData, "silo {} has given no key", sender);
  std::array<std::byte, kSealedBytes> bytes{};
  read_hex(text, bytes);
  const SecretKey between = key_.shared_with(key->second, sealing_label(label_));
  const auto hidden = std::span(bytes).first<2 * kShareBytes>();
  const SecretKey proof = proof_of(between, sender, hidden);
  MOESAIC_CHECK(
      std::equal(proof.bytes().begin(), proof.bytes().end(), bytes.begin() + 2 * kShareBytes),
      ErrorKind::kData, "what came as sealed by silo {} was changed on its way", sender);
  add_stream(between, sender, name_, hidden);
  return {read_share(hidden.data()), read_share(hidden.data() + kShareBytes)};
}

Json SecureSilo::open(const std::map<std::string, std::string>& sealed,
                      const std::set<std::string>& stayed, const std::set<std::string>& dropped) {
  MOESAIC_CHECK(!has_opened_, ErrorKind::kData, "silo {} has opened its shares already", name_);
  MOESAIC_CHECK(stayed.contains(name_) && threshold_ >= 2 && stayed.size() >= threshold_,
                ErrorKind::kData, "{} silos have stayed, and {} are needed", stayed.size(),
                threshold_);
  for (const std::string& silo : dropped)
    MOESAIC_CHECK(!stayed.contains(silo), ErrorKind::kData,
                  "silo {} is said to have stayed and to have dropped out", silo);
  const auto shares_from = [&](const std::string& silo) {
    if (silo == name_) return own_.at(name_);
    const auto found = sealed.find(silo);
    MOESAIC_CHECK(found != sealed.end(), ErrorKind::kData, "silo {} has sealed nothing", silo);
    return opened(silo, found->second);
  };
  Json result = {{"seeds", Json::object()}, {"keys", Json::object()}};
  for (const std::string& silo : stayed) result["seeds"][silo] = json_of(shares_from(silo).seed);
  for (const std::string& silo : dropped) result["keys"][silo] = json_of(shares_from(silo).key);
  has_opened_ = true;
  return result;
}

SecureCollector::SecureCollector(std::string label, RoundKeys keys, std::size_t threshold)
    : label_(std::move(label)), keys_(std::move(keys)), threshold_(threshold) {}

void SecureCollector::take(const Json& opened) {
  const auto add = [&](const char* kind, std::map<std::string, std::vector<Share>>& to) {
    const Json shares = opened.is_object() ? opened.value(kind, Json()) : Json();
    MOESAIC_CHECK(shares.is_object(), ErrorKind::kData, "no shares by silo came");
    for (const auto& [silo, share] : shares.items()) {
      MOESAIC_CHECK(keys_.contains(silo), ErrorKind::kData, "a share of a silo without a key");
      to[silo].push_back(share_from(share));
    }
  };
  auto seeds = seeds_, pair_keys = pair_keys_;  // all of it or nothing
  add("seeds", seeds);
  add("keys", pair_keys);
  seeds_ = std::move(seeds);
  pair_keys_ = std::move(pair_keys);
}

void SecureCollector::unmask(const SumFormat& format, const std::set<std::string>& stayed,
                             const std::set<std::string>& dropped, std::uint64_t nonce,
                             std::span<std::uint64_t> sum, std::uint64_t first) const {
  const auto secret = [&](const std::map<std::string, std::vector<Share>>& shares,
                          const std::string& silo) {
    const auto found = shares.find(silo);
    MOESAIC_CHECK(found != shares.end(), ErrorKind::kData, "no shares of silo {} came", silo);
    return secret_of(found->second, threshold_);
  };
  RoundKeys keys_of_stayed;
  for (const std::string& silo : stayed) {
    add_mask(format, secret(seeds_, silo), nonce, /*take_away=*/true, sum, first);
    keys_of_stayed[silo] = keys_.at(silo);
  }
  for (const std::string& silo : dropped) {
    const PairKey key(secret(pair_keys_, silo));
    MOESAIC_CHECK(key.public_key() == keys_.at(silo), ErrorKind::kData,
                  "the shares of silo {} are not those of its key", silo);
    remove_dropped(format, silo, key, keys_of_stayed, label_, nonce, sum, first);
  }
}

}  // namespace moesaic::aggregate
