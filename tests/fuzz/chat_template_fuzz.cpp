// fuzz: libtrain/{core/{error,file_kind,fs,path,json*},data/{chat/{chat_template,expression_parser,template_[f-p]*,template_[tv]*},text/{unicode,character_*,pattern_characters}}}.cpp
// libraries: -lutf8proc
// A chat template, rendered with a short conversation.
#include "data/chat/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  try {
    const auto chat = ChatTemplate::parse({reinterpret_cast<const char*>(data), size}, "template");
    const Json messages = {{{"role", "system"}, {"content", " Be \xC3\xA4. "}},
                           {{"role", "user"}, {"content", "a<b"}},
                           {{"role", "assistant"}, {"content", nullptr}, {"n", {1, 2.5, true}}}};
    chat.render(messages, {true, {{"bos_token", "<s>"}}});
  } catch (const Error&) {
  }
  return 0;
}
