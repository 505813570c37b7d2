#include "data/chat/conversation.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace moesaic {
namespace {

using RoleNames = std::initializer_list<const char*>;

constexpr std::array<std::pair<const char*, const char*>, 8> kShareGptRoles = {
    {{"human", "user"},
     {"user", "user"},
     {"gpt", "assistant"},
     {"assistant", "assistant"},
     {"system", "system"},
     {"tool", "tool"},
     {"observation", "tool"},
     {"function_response", "tool"}}};

bool is_one_of_roles(const std::string& role, RoleNames names) {
  return std::find(names.begin(), names.end(), role) != names.end();
}

[[noreturn]] void refuse_message(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kData, format("{}: {}", where, what));
}

// The text `key` of a message.
std::string message_text(const Json& message, const char* key, const std::string& where) {
  const auto found = message.find(key);
  if (found == message.end()) refuse_message(where, format("key \"{}\" is missing", key));
  if (!found->is_string())
    refuse_message(where, format("\"{}\" is {}, must be a string", key, found->type_name()));
  return found->get<std::string>();
}

// ShareGPT's "from" and "value" become "role" and "content".
Json from_sharegpt(Json message, const std::string& where) {
  const std::string from = message_text(message, "from", where);
  const auto role = std::find_if(kShareGptRoles.begin(), kShareGptRoles.end(),
                                 [&](const auto& known) { return from == known.first; });
  if (role == kShareGptRoles.end()) {
    refuse_message(where, format("\"from\" is '{}', must be human, gpt, system or tool",
                                 printable(from, 40)));
  }
  message["role"] = role->second;
  message["content"] = message_text(message, "value", where);
  message.erase("from");
  message.erase("value");
  return message;
}

void check_content(const Json& message, const std::string& where) {
  const auto content = message.find("content");
  const bool none = content == message.end() || content->is_null();
  if (none && message.contains("tool_calls")) return;
  if (none) refuse_message(where, "key \"content\" is missing");
  if (!content->is_string() && !content->is_array())
    refuse_message(where, format("\"content\" is {}, must be a string", content->type_name()));
}

// Which role may come after which; "" = at the beginning.
bool may_follow(const std::string& role, const std::string& before) {
  if (role == "user") return is_one_of_roles(before, {"", "system", "developer", "assistant"});
  if (role == "assistant") return is_one_of_roles(before, {"user", "tool"});
  if (role == "tool") return is_one_of_roles(before, {"assistant", "tool"});
  return before.empty();
}

void check_role(const std::string& role, const std::string& before, const std::string& where) {
  if (!is_one_of_roles(role, {"system", "developer", "user", "assistant", "tool"})) {
    refuse_message(where, format("\"role\" is '{}', must be system, user, assistant or tool",
                                 printable(role, 40)));
  }
  if (may_follow(role, before)) return;
  throw Error(ErrorKind::kData,
              format("{}: a message of the {} {}", where, role,
                     before.empty() ? "is the first" : format("comes after one of the {}", before)),
              "user and assistant take turns, the user first; before them there may be a system "
              "message, and a tool answers the assistant");
}

// Adds checked messages to `into`.
void append_messages(const Json& given, const char* key, const std::string& where, Json& into) {
  if (!given.is_array())
    refuse_message(where, format("\"{}\" is {}, must be a list of messages", key,
                                 given.type_name()));
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string place = format("{}: {}[{}]", where, key, i);
    Json message = given[i];
    if (!message.is_object())
      refuse_message(place, format("{}, must be a message", message.type_name()));
    if (message.contains("from")) message = from_sharegpt(std::move(message), place);
    const std::string before = into.empty() ? "" : into.back().at("role").get<std::string>();
    check_role(message_text(message, "role", place), before, place);
    check_content(message, place);
    into.push_back(std::move(message));
  }
}

bool is_answer(const Json& message) { return message.at("role") == "assistant"; }

// Takes "train" out of the message.
bool take_train(Json& message, const std::string& where) {
  const auto train = message.find("train");
  if (train == message.end()) return true;
  if (!train->is_boolean())
    refuse_message(where, format("\"train\" is {}, must be true or false", train->type_name()));
  const bool trained = train->get<bool>();
  message.erase("train");
  return trained;
}

}  // namespace

Conversation read_conversation(const Json& line, const std::string& where) {
  const bool both = line.contains("messages") && line.contains("conversations");
  if (both) refuse_message(where, "has both \"messages\" and \"conversations\"; keep one of them");
  const char* const key = line.contains("conversations") ? "conversations" : "messages";
  if (!line.contains(key))
    refuse_message(where, "key \"messages\" or \"conversations\" is missing");
  Conversation conversation;
  append_messages(line.at(key), key, where, conversation.messages);
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    Json& message = conversation.messages[i];
    const bool trained = take_train(message, format("{}: {}[{}]", where, key, i));
    if (is_answer(message)) conversation.answers.push_back({i, trained});
  }
  if (conversation.answers.empty())
    refuse_message(where, "the conversation has no message of the assistant");
  return conversation;
}

Json read_prompt_and_completion(const Json& prompt, const Json& completion,
                                const std::string& where) {
  Json messages = Json::array();
  append_messages(prompt, "prompt", where, messages);
  const std::size_t of_prompt = messages.size();
  append_messages(completion, "completion", where, messages);
  if (messages.size() == of_prompt) refuse_message(where, "\"completion\" is empty");
  if (!is_answer(messages[of_prompt]))
    refuse_message(where, "\"completion\" must begin with a message of the assistant");
  for (const Json& message : messages) {
    if (message.contains("train"))
      refuse_message(where,
                     "\"train\" is for messages of format chat; here all of the completion "
                     "is learned");
  }
  return messages;
}

Json first_messages(const Json& messages, std::size_t count) {
  const auto begin = messages.begin();
  return Json::array_t(begin, begin + static_cast<std::ptrdiff_t>(count));
}

}  // namespace moesaic
