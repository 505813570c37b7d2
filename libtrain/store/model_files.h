// The small files that a model brings along beside its weights, and the tokenizer made of them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "data/text/text_tokenizer.h"
#include "data/tokenizer.h"
#include "store/model_source.h"

namespace moesaic {

class ModelFiles {
 public:
  ModelFiles() = default;
  /// Collective over world; the chief has the files.
  ModelFiles(const RankContext& context, const ModelSource& source);

  /// Content of a file by its name in a Hugging Face folder; "" where there is none.
  const std::string& text(const std::string& name) const;
  /// A JSON object in such a file; {} where there is none. Error(kData) when it holds another
  /// thing.
  Json object(const std::string& name) const;
  /// nullptr where the model comes without a tokenizer. One that cannot be read says why when it is
  /// used: token ids need none.
  std::unique_ptr<Tokenizer> tokenizer() const;
  /// The special tokens, with their names, that the files of the tokenizer declare.
  TokenDeclarations declarations() const;
  /// Of the model, for messages.
  const std::string& path() const { return path_; }

 private:
  TokenizerTexts texts() const;
  std::unique_ptr<Tokenizer> read_tokenizer() const;

  std::string path_;
  std::map<std::string, std::string> files_;
  Json tokenizer_;  // as a checkpoint describes it
};

/// Whether a folder describes its tokenizer, and how it is used, in a file of that name.
bool is_tokenizer_file(const std::string& name);

/// The files of the tokenizer that a recipe names take the place of those in `files`, by name: with
/// them Transformers loads an export. The byte tokenizer has none.
void carry_tokenizer(const std::string& spec, const Tokenizer& tokenizer,
                     std::map<std::string, std::string>& files);

/// The chat template that a recipe names, if any, takes the place of the one in `files`.
void carry_chat_template(const std::optional<std::string>& path,
                         std::map<std::string, std::string>& files);

}  // namespace moesaic
