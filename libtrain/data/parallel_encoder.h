// ParallelEncoder: texts to token ids on several threads; the ids do not depend on how many.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace moesaic {

class ParallelEncoder {
 public:
  /// `tokenizer` must outlive this object. 0 threads = the cores that this process may use.
  ParallelEncoder(const Tokenizer& tokenizer, int threads);

  /// The ids of each text, in their order. Rethrows the error of the first text that has one.
  std::vector<std::vector<std::uint32_t>> encode(const std::vector<std::string>& texts);

 private:
  const Tokenizer& tokenizer_;
  std::size_t threads_;
  std::vector<std::unique_ptr<Tokenizer>>
      clones_;  // of all threads but the first; made when needed
};

}  // namespace moesaic
