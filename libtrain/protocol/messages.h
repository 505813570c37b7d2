// What silos and their coordinator say to each other. A message is small; what is large, a model or
// a change, is a file that crosses the wire beside it and is named by its digest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "protocol/blob.h"

namespace moesaic::sites {

/// Peers that speak another one do not join.
inline constexpr int kProtocol = 1;
/// Limits of what a peer may send, checked before memory is taken.
inline constexpr std::size_t kBodyBytes = 512U << 10;  // of a message's text
inline constexpr std::size_t kKindBytes = 32;          // of a message's kind

/// One message. Each of a silo is signed with the key of its certificate and bound to the run.
struct Message {
  std::string kind;        // 1 to kKindBytes letters a-z and '_'
  std::int64_t round = 0;  // 0 before the first
  Json body = Json::object();
  std::optional<Blob> blob;  // the file that goes with it
};

/// Kinds that the module knows. Any other one, as those of secure sums, is passed on as it is.
inline constexpr std::string_view kJoinKind = "join";        // silo: Join
inline constexpr std::string_view kOfferKind = "offer";      // coordinator: RoundOffer
inline constexpr std::string_view kChangeKind = "change";    // silo: Change
inline constexpr std::string_view kGoodbyeKind = "goodbye";  // either: nothing more will come

/// What a silo is when it joins. What it must equal is the coordinator's to say.
struct Join {
  int protocol = kProtocol;
  std::string version;           // of the program
  std::string weights_digest;    // of the base weights; "" = it has none yet
  std::string tokenizer_digest;  // "" = none
  Json notes = Json::object();   // public facts: number of examples, ranks ...

  Message message() const;
  /// Error(kData) that names the key when a body is not of this form. So are the two below.
  static Join of(const Message& message);
};

/// A round that a silo is asked to take part in.
struct RoundOffer {
  std::int64_t round = 0;
  Blob model;                      // what the silo starts from
  std::vector<std::string> silos;  // who takes part, in the order of the sum
  double deadline_s = 0.0;         // from now to the end of the round
  Json rules = Json::object();     // what else the round asks for

  Message message() const;
  static RoundOffer of(const Message& message);
};

/// What a silo hands in. Whose it is its certificate says, not the message.
struct Change {
  std::int64_t round = 0;
  Blob blob;
  Json notes = Json::object();  // examples, tokens, loss, steps ...

  Message message() const;
  static Change of(const Message& message);
};

/// How a silo is doing. Seconds since it was last heard, and what it said about itself last.
struct SiloState {
  std::string silo;
  double silent_s = 0.0;
  Json progress = Json::object();
  std::uint64_t bytes_in = 0;  // of files, also those sent again after a cut
  std::uint64_t bytes_out = 0;
};

/// Error(kData) for a malformed kind or a negative round.
void check_kind_and_round(const std::string& kind, std::int64_t round);

}  // namespace moesaic::sites
