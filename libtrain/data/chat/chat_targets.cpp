#include "data/chat/chat_targets.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace moesaic {
namespace {

constexpr const char* kMarkIt =
    "mark what the assistant says by {% generation %} and {% endgeneration %} in a template of "
    "your own, and name it in data.chat_template";

std::string_view without_blanks_at_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// What a message says, without blanks around it; "" where it is no text.
std::string_view said_by(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_string()) return {};
  const std::string_view said = without_blanks_at_end(content->get_ref<const std::string&>());
  return said.substr(std::min(said.size(), said.find_first_not_of(" \t\r\n")));
}

// That, without thoughts at its beginning.
std::string_view words_of(const Json& message) {
  constexpr std::string_view kThoughtsEnd = "</think>";
  std::string_view said = said_by(message);
  if (const std::size_t end = said.rfind(kThoughtsEnd); end != std::string_view::npos)
    said.remove_prefix(end + kThoughtsEnd.size());
  return said.substr(std::min(said.size(), said.find_first_not_of(" \t\r\n")));
}

class AnswerFinder {
 public:
  AnswerFinder(const ChatTemplate& chat, const Json& variables, const Json& messages,
               const std::string& text)
      : chat_(chat), variables_(variables), messages_(messages), text_(text) {}

  /// Of the message `index`; empty where it is not found.
  TextSpan find(std::size_t index) const {
    const std::size_t begin = begin_of(index);
    const std::string turn = first(index + 1, /*add_generation_prompt=*/false);
    const std::string_view whole = text_, alone = turn;
    if (begin == 0 || alone.size() <= begin) return {};
    if (!whole.starts_with(alone.substr(0, begin))) return {};
    const std::string_view kept =
        kept_of(alone.substr(begin), whole.substr(begin), words_of(messages_[index]));
    if (without_blanks_at_end(kept).empty()) return {};
    return {begin, begin + closed(kept, messages_[index])};
  }

 private:
  std::string first(std::size_t count, bool add_generation_prompt) const {
    if (count == messages_.size()) return text_;
    return chat_.render(first_messages(messages_, count), {add_generation_prompt, variables_});
  }

  // After the generation prompt, or that part of it that the answer has; 0 where it is not found.
  std::size_t begin_of(std::size_t index) const {
    const std::string asked = first(index, true);
    if (text_.starts_with(asked)) return asked.size();
    const std::size_t same = static_cast<std::size_t>(
        std::mismatch(asked.begin(), asked.end(), text_.begin(), text_.end()).first -
        asked.begin());
    return same >= first(index, false).size() ? same : 0;
  }

  // The turn without what the template leaves out before its words once others follow: thoughts.
  // Empty where the whole text goes on in another way.
  static std::string_view kept_of(std::string_view turn, std::string_view whole,
                                  std::string_view words) {
    const std::size_t found = words.empty() ? 0 : turn.rfind(words);
    const std::size_t last = found == std::string_view::npos ? 0 : found;
    for (std::size_t out = 0; out <= last; ++out)
      if (whole.starts_with(turn.substr(out))) return turn.substr(out);
    return {};
  }

  // Bytes of the turn without the blanks between turns, unless a blank is all that closes it.
  static std::size_t closed(std::string_view turn, const Json& message) {
    const std::string_view words = without_blanks_at_end(turn);
    const std::string_view said = said_by(message);
    const bool open = words.empty() || (!said.empty() && words.ends_with(said));
    return open ? turn.size() : words.size();
  }

  const ChatTemplate& chat_;
  const Json& variables_;
  const Json& messages_;
  const std::string& text_;
};

void find_answers(const ChatTemplate& chat, const Json& variables, const Conversation& conversation,
                  const std::string& where, RenderedChat& rendered) {
  const AnswerFinder finder(chat, variables, conversation.messages, rendered.text);
  for (const Conversation::Answer& answer : conversation.answers) {
    if (!answer.trained) continue;
    const TextSpan found = finder.find(answer.message);
    if (found.end == 0) {
      throw Error(ErrorKind::kData,
                  format("{}: message {}: the template writes the conversation up to it in another "
                         "way than as part of the whole, so that its tokens cannot be told",
                         where, answer.message),
                  kMarkIt);
    }
    rendered.generated.push_back(found);
  }
}

// One mark an answer, where some are not trained.
void drop_untrained(const Conversation& conversation, const std::string& where,
                    RenderedChat& rendered) {
  const auto& answers = conversation.answers;
  MOESAIC_CHECK(!rendered.generated.empty(), ErrorKind::kData,
                "{}: the template marks nothing that the assistant says", where);
  if (std::all_of(answers.begin(), answers.end(), [](const auto& a) { return a.trained; })) return;
  MOESAIC_CHECK(rendered.generated.size() == answers.size(), ErrorKind::kData,
                "{}: \"train\": false needs one block of generation for each message of the "
                "assistant; the template wrote {} for {}",
                where, rendered.generated.size(), answers.size());
  std::vector<TextSpan> kept;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].trained) kept.push_back(rendered.generated[i]);
  }
  rendered.generated = kept;
}

}  // namespace

RenderedChat render_with_targets(const ChatTemplate& chat, const Json& variables,
                                 const Conversation& conversation, const std::string& where) {
  RenderedChat rendered = chat.render_marked(conversation.messages, {false, variables});
  if (chat.marks_generation())
    drop_untrained(conversation, where, rendered);
  else
    find_answers(chat, variables, conversation, where, rendered);
  return rendered;
}

}  // namespace moesaic
