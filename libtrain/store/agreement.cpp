#include "store/agreement.h"

#include <optional>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr char kSeparator = '\x1f';  // between kind, message and hint

std::optional<Error> failure_of(const std::function<void()>& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCommunication) throw;
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorKind::kCheckpoint, error.what());
  }
}

std::string encode(const std::optional<Error>& error) {
  if (!error) return "";
  return format("{}{}{}{}{}", error->exit_code(), kSeparator, error->what(), kSeparator,
                error->hint());
}

SharedError decode(const std::string& text, int rank, int size) {
  const std::size_t first = text.find(kSeparator);
  const std::size_t second = text.find(kSeparator, first + 1);
  const auto kind = static_cast<ErrorKind>(std::stoi(text.substr(0, first)));
  const Error error(kind, text.substr(first + 1, second - first - 1), text.substr(second + 1));
  return {error, rank, size};
}

}  // namespace

SharedError::SharedError(const Error& error, int rank, int group_size)
    : Error(error.kind(),
            group_size > 1 ? format("rank {}: {}", rank, error.what()) : std::string(error.what()),
            error.hint()),
      rank_(rank),
      plain_(error.what()) {}

void agreed(const Communicator& group, const std::string& label,
            const std::function<void()>& work) {
  const std::optional<Error> mine = failure_of(work);
  if (group.all_reduce(mine ? 1.0 : 0.0, ReduceOp::kMax, label) == 0.0) return;
  const auto all = group.all_gather(encode(mine), label + " (errors)");
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (!all[rank].empty()) throw decode(all[rank], static_cast<int>(rank), group.size());
  }
  throw Error(ErrorKind::kInternal, format("{}: a rank failed without a message", label));
}

}  // namespace moesaic
