// SecureSilo: a silo's part of one secure sum (secure_sum.h), from its keys to what it tells of the
// others at the end. Keys and seeds come from the operating system and serve this sum alone; of
// each other silo it opens one secret at most, and once.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "aggregate/secure_sum.h"
#include "aggregate/shamir.h"
#include "core/json.h"

namespace moesaic::aggregate {

/// What a coordinator passes on from each silo to each other one, as hexadecimal text: sealed
/// shares, by receiver.
using SealedShares = std::map<std::string, std::string>;

class SecureSilo {
 public:
  /// `label` names run, round and try, the same for all silos of the sum.
  SecureSilo(std::string name, std::string label);

  const std::string& label() const { return label_; }
  PublicKey public_key() const { return key_.public_key(); }

  /// The silos of the sum and their keys, this one's among them: a share of each of its secrets for
  /// every other silo, which that one alone can open. Error(kData) when it was asked already, or
  /// when they are fewer than `threshold` or its own key is another.
  SealedShares seal(const RoundKeys& keys, std::size_t threshold);

  /// Masks values of a parameter, the `nonce`-th, from number `first` on (see kMaskStep), for a sum
  /// over `silos`, all of whom have sealed.
  void mask(const SumFormat& format, const std::set<std::string>& silos, std::uint64_t nonce,
            std::span<std::uint64_t> values, std::uint64_t first = 0) const;

  /// What the others sealed for this silo, by sender. Opens of each of `stayed` the share of its
  /// seed, and of each of `dropped` that of its key. Error(kData) when it was asked already, when a
  /// silo is in both, when fewer than the threshold stayed, and for a share that was not sealed for
  /// this silo. -> {"seeds": {silo: share}, "keys": {silo: share}}
  Json open(const std::map<std::string, std::string>& sealed, const std::set<std::string>& stayed,
            const std::set<std::string>& dropped);

 private:
  struct Shares {
    Share seed, key;
  };
  Shares opened(const std::string& sender, const std::string& text) const;

  std::string name_, label_;
  PairKey key_;
  SecretKey seed_;
  RoundKeys keys_;
  std::size_t threshold_ = 0;
  std::map<std::string, Shares> own_;  // by receiver: this silo's is never sent
  bool has_opened_ = false;
};

/// The coordinator's part: from what silos have opened to the masks that are left in the sum.
class SecureCollector {
 public:
  SecureCollector(std::string label, RoundKeys keys, std::size_t threshold);

  /// What a silo has opened. Error(kData) where it is nothing of the kind.
  void take(const Json& opened);

  /// Takes from the sum over `stayed` of values of a parameter, from number `first` on, all masks
  /// that are in it. Error(kData) where the shares that came are too few, or do not fit a silo's
  /// key.
  void unmask(const SumFormat& format, const std::set<std::string>& stayed,
              const std::set<std::string>& dropped, std::uint64_t nonce,
              std::span<std::uint64_t> sum, std::uint64_t first = 0) const;

 private:
  std::string label_;
  RoundKeys keys_;
  std::size_t threshold_;
  std::map<std::string, std::vector<Share>> seeds_, pair_keys_;
};

/// Hexadecimal text and back. Error(kData) for what is no such key, or a point of small order.
std::string text_of(const PublicKey& key);
PublicKey public_key_from(const std::string& text);

/// Error(kData) for a text that has not the form of sealed shares. Whether they are whole their
/// receiver alone can see.
void require_sealed(const std::string& text);

}  // namespace moesaic::aggregate
