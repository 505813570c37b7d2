// ChatTemplate: a conversation as the text that a model was trained on, by the template of its
// tokenizer_config.json: the part of Jinja that such templates use, with the settings and functions
// that Transformers gives them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"
#include "data/chat/rendered_chat.h"

namespace moesaic {

class ChatTemplate {
 public:
  struct Options {
    bool add_generation_prompt = true;
    Json variables = Json::object();  // bos_token, eos_token, tools, documents ...
  };

  /// Error(kData) naming `where` and the line, also for what is not supported, by name.
  static ChatTemplate parse(std::string_view source, const std::string& where);

  /// `messages`: [{"role": "user", "content": "..."}, ...]. Error(kData) naming the template's
  /// line: also when the template refuses them.
  std::string render(const Json& messages, const Options& options) const {
    return render_marked(messages, options).text;
  }
  /// With what the assistant says in it, where the template marks that.
  RenderedChat render_marked(const Json& messages, const Options& options) const;
  /// Whether the template has blocks of `generation`.
  bool marks_generation() const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace moesaic
