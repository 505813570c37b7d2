// ParallelEncoder: documents to token ids on several threads, each with a tokenizer of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "data/tokenizer.h"

namespace moesaic {

class ParallelEncoder {
 public:
  /// `tokenizer` must outlive this object. 0 threads = the cores that this process may use.
  ParallelEncoder(const Tokenizer& tokenizer, int threads);

  using Work = std::function<void(const Tokenizer& tokenizer, std::size_t index)>;
  /// Does the work on each of `count` documents, of `bytes` together. Rethrows the error of the
  /// first that has one.
  void for_each(std::size_t count, std::size_t bytes, const Work& work);

 private:
  const Tokenizer& tokenizer_;
  std::size_t threads_;
  std::vector<std::unique_ptr<Tokenizer>>
      clones_;  // of all threads but the first; made when needed
};

}  // namespace moesaic
