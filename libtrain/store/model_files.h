// The small files that a model brings along beside its weights, and the tokenizer made of them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/json.h"
#include "data/tokenizer.h"

namespace moesaic {

class ModelFiles {
 public:
  /// By this process alone, of anything that ModelSource opens. Error(kCheckpoint) when it opens
  /// none.
  static ModelFiles read(const std::string& model);

  const std::string& path() const { return path_; }  // of the model, for messages
  /// Content of a file by its name in a Hugging Face folder; "" where there is none.
  const std::string& text(const std::string& name) const;
  /// A JSON object in such a file; {} where there is none. Error(kData) when it is none.
  Json object(const std::string& name) const;
  /// Error(kData) where the model comes without a tokenizer, or with one that is not supported.
  std::unique_ptr<Tokenizer> tokenizer() const;

 private:
  std::string path_;
  std::map<std::string, std::string> files_;
  Json tokenizer_;  // as a checkpoint describes it
};

}  // namespace moesaic
