// Renders chat templates: a line {"template", "messages", "add_generation_prompt", "variables"} in,
// a line {"text"} or {"error"} out.
#include <iostream>
#include <string>

#include "data/chat/chat_template.h"

int main() {
  using moesaic::Json;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      const Json ask = Json::parse(line);
      const auto chat =
          moesaic::ChatTemplate::parse(ask.at("template").get<std::string>(), "template");
      answer["text"] = chat.render(
          ask.at("messages"), {ask.at("add_generation_prompt").get<bool>(), ask.at("variables")});
    } catch (const moesaic::Error& error) {
      answer["error"] = error.what();
    }
    std::cout << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
}
