// Conversation: the messages of one line of JSONL, checked, as chat templates expect them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/json.h"

namespace moesaic {

struct Conversation {
  struct Answer {
    std::size_t message = 0;
    bool trained = true;
  };

  Json messages = Json::array();  // {"role", "content"} and what else they have
  std::vector<Answer> answers;    // of the assistant, one at least
};

/// Of {"messages": [{"role", "content"}]}, or {"conversations": [{"from", "value"}]} as ShareGPT
/// has them; a message may have "train": false. Error(kData) naming `where` for damaged messages,
/// roles that are unknown or in a wrong order, and where the assistant says nothing.
Conversation read_conversation(const Json& line, const std::string& where);

/// The messages of `prompt`, then those of `completion`: a list each. Error(kData) likewise, and
/// where the completion is not the assistant's.
Json read_prompt_and_completion(const Json& prompt, const Json& completion,
                                const std::string& where);

/// The first `count` of `messages`.
Json first_messages(const Json& messages, std::size_t count);

}  // namespace moesaic
