#include "store/model_files.h"

#include "core/error.h"
#include "data/text/text_tokenizer.h"
#include "store/model_source.h"

namespace moesaic {

ModelFiles ModelFiles::read(const std::string& model) {
  const RankContext here = RankContext::single();
  const auto source = ModelSource::open(here, model);
  ModelFiles files;
  files.path_ = source->path();
  files.files_ = source->origin(here).files;
  files.tokenizer_ = source->tokenizer();
  return files;
}

const std::string& ModelFiles::text(const std::string& name) const {
  static const std::string kNone;
  const auto found = files_.find(name);
  return found == files_.end() ? kNone : found->second;
}

Json ModelFiles::object(const std::string& name) const {
  if (!files_.contains(name)) return Json::object();
  Json json = parse_json(text(name), path_ + "/" + name);
  MOESAIC_CHECK(json.is_object(), ErrorKind::kData, "{}/{} holds no JSON object", path_, name);
  return json;
}

std::unique_ptr<Tokenizer> ModelFiles::tokenizer() const {
  if (files_.contains("tokenizer.json")) {
    return text_tokenizer(text("tokenizer.json"), path_ + "/tokenizer.json",
                          eos_token(object("tokenizer_config.json")));
  }
  if (tokenizer_.is_object() && tokenizer_.value("type", "") == "byte") return byte_tokenizer();
  throw Error(ErrorKind::kData, format("{} comes without a tokenizer.json", path_),
              "put the tokenizer.json of the model beside its config.json");
}

}  // namespace moesaic
