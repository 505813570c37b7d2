#include "data/chat/chat_targets.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/shared_beginning.h"

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
    if (begin == 0) return {};
    const Json& message = messages_[index];
    std::string_view kept =
        kept_of(first(index + 1, /*add_generation_prompt=*/false), begin, message);
    if (kept.empty()) kept = kept_of(before_next_prompt(index), begin, message);
    if (without_blanks_at_end(kept).empty()) return {};
    return {begin, begin + closed(kept, message)};
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
    const std::size_t same = shared_beginning(asked, text_);
    return same >= first(index, false).size() ? same : 0;
  }

  // The text up to the end of the answer, as it is when another is asked for: some templates close
  // the last turn in another way. Empty where its end cannot be told.
  std::string before_next_prompt(std::size_t index) const {
    const std::string asked = first(index, true), plain = first(index, false);
    const std::size_t same = shared_beginning(asked, plain);
    const std::string prompt = asked.substr(same < plain.size() ? before_mark(asked, same) : same);
    std::string next = first(index + 1, true);
    if (!next.ends_with(prompt)) return {};
    next.resize(next.size() - prompt.size());
    return next;
  }

  // The place, or the beginning of the mark "<...>" that it is in.
  static std::size_t before_mark(std::string_view text, std::size_t place) {
    const std::size_t begin = text.substr(0, place).find_last_of("<>");
    return begin != std::string_view::npos && text[begin] == '<' ? begin : place;
  }

  // What the whole text has of the answer that `alone` ends with: all, or all but one stretch
  // before its words, the thoughts that a template leaves out once others follow. Empty where the
  // whole text goes on in another way.
  std::string_view kept_of(std::string_view alone, std::size_t begin, const Json& message) const {
    std::string_view whole = text_;
    if (alone.size() <= begin || !whole.starts_with(alone.substr(0, begin))) return {};
    const std::string_view turn = alone.substr(begin), words = words_of(message);
    whole.remove_prefix(begin);
    const std::size_t found = words.empty() ? 0 : turn.rfind(words);
    const std::size_t last = found == std::string_view::npos ? 0 : found;
    const std::size_t same = shared_beginning(turn, whole);
    for (std::size_t out = 0; out <= last; ++out) {
      const std::size_t place = std::min(same, last - out);
      if (whole.substr(place).starts_with(turn.substr(place + out)))
        return whole.substr(0, turn.size() - out);
    }
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
