// Instruction data to ids and targets. tests/parity/mask_test.py compares them with Transformers.
#include "data/document_encoder.h"

#include "data/test_data.h"
#include "data/text/text_tokenizer.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }};\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

struct Learned {
  std::string text;     // of all ids, "$" for the end of text
  std::string targets;  // of those that are learned
  bool operator==(const Learned&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Learned& learned) {
  return out << '"' << learned.text << "\" of which \"" << learned.targets << '"';
}

class DocumentEncoding : public ::testing::Test {
 protected:
  DocumentEncoder encoder(DataFormat data_format, const char* source = kTemplate) {
    options.chat_template = folder_.file("template.jinja", source);
    return {data_format, options};
  }

  static Learned learned(const DocumentEncoder& encoder, const std::string& line) {
    const EncodedDocument document = encoder.encode(line, "f:1", *byte_tokenizer());
    Learned found;
    for (std::size_t i = 0; i < document.ids.size(); ++i) {
      const char c = document.ids[i] == 256 ? '$' : static_cast<char>(document.ids[i]);
      found.text += c;
      if (document.may_be_target.empty() || document.may_be_target[i] != 0) found.targets += c;
    }
    return found;
  }

  static void refused(const DocumentEncoder& encoder, const std::string& line,
                      const std::string& part, ErrorKind kind = ErrorKind::kData) {
    expect_error(kind, part, [&] { encoder.encode(line, "f:1", *byte_tokenizer()); });
  }

  EncodeOptions options;

 private:
  TemporaryFolder folder_;
};

TEST_F(DocumentEncoding, LearnsTheCompletionOfAPrompt) {
  const auto made = encoder(DataFormat::kPromptCompletion);
  EXPECT_EQ(learned(made, R"({"prompt": "1+1=", "completion": "2"})"), (Learned{"1+1=2$", "2$"}));
  EXPECT_EQ(learned(made, R"({"prompt": "", "completion": "2"})"), (Learned{"2$", "2$"}));
  EXPECT_EQ(learned(made, R"({"prompt": [{"role": "user", "content": "a"}],
                              "completion": [{"role": "assistant", "content": "b"}]})"),
            (Learned{"<user>a;\n<assistant>b;\n", "b;\n"}));
  options.loss_on = "all";
  EXPECT_EQ(
      learned(encoder(DataFormat::kPromptCompletion), R"({"prompt": "1+1=", "completion": "2"})"),
      (Learned{"1+1=2$", "1+1=2$"}));
}

TEST_F(DocumentEncoding, RefusesWhatIsNoPromptAndCompletion) {
  const auto made = encoder(DataFormat::kPromptCompletion);
  refused(made, R"({"prompt": "a", "completion": ""})", "f:1: \"completion\" is empty");
  refused(made, R"({"prompt": "a"})", "f:1: key \"completion\" is missing");
  refused(made, R"({"prompt": "a", "completion": ["b"]})", "must be two texts or two lists");
  refused(made, R"({"prompt": [], "completion": []})", "\"completion\" is empty");
  refused(made, R"([1])", "must be an object");
  refused(made, R"({"prompt": )", "f:1");
  options.tokenizer = "byte";
  const DocumentEncoder bare(DataFormat::kPromptCompletion, options = {});
  refused(bare, R"({"prompt": [{"role": "user", "content": "a"}],
                    "completion": [{"role": "assistant", "content": "b"}]})",
          "messages need a chat template", ErrorKind::kRecipe);
}

TEST_F(DocumentEncoding, LearnsWhatTheAssistantSays) {
  const auto made = encoder(DataFormat::kChat);
  const Learned wanted{"<system>s;\n<user>a;\n<assistant>b;\n<user>c;\n<assistant>d;\n", "b;d;"};
  EXPECT_EQ(learned(made, R"({"messages": [{"role": "system", "content": "s"},
      {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
      {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]})"),
            wanted);
  EXPECT_EQ(learned(made, R"({"conversations": [{"from": "system", "value": "s"},
      {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
      {"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}]})"),
            wanted);
  EXPECT_EQ(learned(made, R"({"messages": [
      {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "train": false},
      {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]})"),
            (Learned{"<user>a;\n<assistant>b;\n<user>c;\n<assistant>d;\n", "d;"}));
}

TEST_F(DocumentEncoding, TakesTheMarksOfATemplateThatHasThem) {
  const auto made = encoder(DataFormat::kChat,
                            "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}"
                            "{% generation %}{{ m.content }}!{% endgeneration %}{% else %}"
                            "{{ m.content }}{% endif %}|{% endfor %}");
  EXPECT_EQ(learned(made, R"({"messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b"}]})"),
            (Learned{"user:a|assistant:b!|", "b!"}));
  EXPECT_EQ(learned(made, R"({"messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b", "train": false}, {"role": "user", "content": "c"},
      {"role": "assistant", "content": "d"}]})")
                .targets,
            "d!");
}

// "\n\n" is one token at the end of a text, and two before a word.
TEST_F(DocumentEncoding, MarksTheTokensOfTheWholeText) {
  const auto tokenizer = text_tokenizer(R"({"normalizer": null, "post_processor": null,
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
      "decoder": {"type": "ByteLevel"},
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, ":": 2, "Ċ": 3, "ĊĊ": 4, "ab": 5},
        "merges": ["Ċ Ċ", "a b"]}})",
                                        "small");
  const auto targets = [&](const std::string& closing) {
    const auto made =
        encoder(DataFormat::kChat,
                ("{% for m in messages %}{% if m.role == 'user' %}a:\n\n{{ m.content }}\n\n"
                 "{% else %}b:\n\n" +
                 closing +
                 "{% endif %}{% endfor %}"
                 "{% if add_generation_prompt %}b:\n\n{% endif %}")
                    .c_str());
    const EncodedDocument document = made.encode(
        R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ab"},
                         {"role": "user", "content": "b"}, {"role": "assistant", "content": "ba"}]})",
        "f:1", *tokenizer);
    std::string found;
    for (std::size_t i = 0; i < document.ids.size(); ++i) {
      if (document.may_be_target[i] == 0) continue;
      found += tokenizer->decode(std::span(document.ids).subspan(i, 1)) + "|";
    }
    return found;
  };
  EXPECT_EQ(targets("{% generation %}{{ m.content }}\n\n{% endgeneration %}"),
            "ab|\n|\n|b|a|\n\n|");
  EXPECT_EQ(targets("{% generation %}{{ m.content }}\n{% endgeneration %}{{ '\\n' }}"),
            "ab|\n|b|a|\n\n|");
  EXPECT_EQ(targets("{{ m.content }}:\n\n"), "ab|:|b|a|:|");
}

TEST_F(DocumentEncoding, TakesToolsAsAListOrAText) {
  const auto made = encoder(DataFormat::kChat,
                            "{% for t in tools or [] %}{{ t.name }}{% endfor %}"
                            "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
                            "{% if add_generation_prompt %}<assistant>{% endif %}");
  const auto line = [](const std::string& tools) {
    return R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
               "tools": )" +
           tools + "}";
  };
  const Learned wanted{"get<user>a;<assistant>b;", "b;"};
  EXPECT_EQ(learned(made, line(R"([{"name": "get"}])")), wanted);
  EXPECT_EQ(learned(made, line(R"("[{\"name\": \"get\"}]")")), wanted);
  EXPECT_EQ(learned(made, line("null")).text, "<user>a;<assistant>b;");
  refused(made, line("{}"), "f:1: \"tools\" is object, must be a list");
  refused(made, line(R"("get")"), "f:1: \"tools\"");
}

TEST_F(DocumentEncoding, TakesALineFeedThatClosesTheTurn) {
  const auto made = encoder(DataFormat::kChat,
                            "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
                            "{% if add_generation_prompt %}assistant:{% endif %}");
  EXPECT_EQ(learned(made, R"({"messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b"}]})"),
            (Learned{"user:a\nassistant:b\n", "b\n"}));
}

TEST_F(DocumentEncoding, TakesAnAnswerThatDropsAPartOfTheGenerationPrompt) {
  const auto made = encoder(DataFormat::kChat,
                            "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
                            "{% if add_generation_prompt %}<assistant><think>{% endif %}");
  EXPECT_EQ(learned(made, R"({"messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b"}]})")
                .targets,
            "b;");
}

TEST_F(DocumentEncoding, TakesWhatATemplateKeepsOfAnEarlierAnswer) {
  const std::string talk = R"({"messages": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
      {"role": "assistant", "content": "d"}]})";
  const auto made = encoder(DataFormat::kChat,
                            "{% for m in messages %}<{{ m.role }}>"
                            "{% if m.role == 'assistant' and loop.last %}[hm]{% endif %}"
                            "{{ m.content }};\n{% endfor %}"
                            "{% if add_generation_prompt %}<assistant>{% endif %}");
  EXPECT_EQ(learned(made, talk),
            (Learned{"<user>a;\n<assistant>b;\n<user>c;\n<assistant>[hm]d;\n", "b;[hm]d;"}));
  const auto with_place =
      encoder(DataFormat::kChat,
              "{% for m in messages %}<{{ m.role }}>"
              "{% if m.role == 'assistant' %}[{{ 'hm' if loop.last }}]{% endif %}"
              "{{ m.content }};\n{% endfor %}"
              "{% if add_generation_prompt %}<assistant>{% endif %}");
  EXPECT_EQ(learned(with_place, talk).targets, "[]b;[hm]d;");
  refused(encoder(DataFormat::kChat,
                  "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
                  "{% if loop.last %}.{% else %};{% endif %}{% endfor %}"
                  "{% if add_generation_prompt %}<assistant>{% endif %}"),
          talk, "message 1: the template writes the conversation up to it in another way");
}

TEST_F(DocumentEncoding, TakesEarlierAnswersWhereTheLastOneClosesInAnotherWay) {
  const std::string talk = R"({"messages": [{"role": "user", "content": "a < b"},
      {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"},
      {"role": "assistant", "content": "e"}]})";
  const auto at_the_end =
      encoder(DataFormat::kChat,  // two marks begin alike
              "{% for m in messages %}<{{ m.role }}>{{ m.content }};\n{% endfor %}"
              "{{ '<assistant>' if add_generation_prompt else '<as.>' }}");
  EXPECT_EQ(
      learned(at_the_end, talk),
      (Learned{"<user>a < b;\n<assistant>c;\n<user>d;\n<assistant>e;\n<as.>", "c;e;\n<as.>"}));
  const auto of_the_turn =
      encoder(DataFormat::kChat,
              "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
              "{% if m.role == 'assistant' and loop.last and not add_generation_prompt %}"
              "<return>{% else %}<end>{% endif %}{% endfor %}"
              "{% if add_generation_prompt %}<assistant>{% endif %}");
  EXPECT_EQ(learned(of_the_turn, talk).targets, "c<end>e<return>");
}

TEST_F(DocumentEncoding, RefusesConversationsByTheirPlace) {
  const auto made = encoder(DataFormat::kChat);
  const auto talk = [](const std::string& messages) {
    return "{\"messages\": [" + messages + "]}";
  };
  const std::string user = R"({"role": "user", "content": "a"})";
  const std::string answer = R"({"role": "assistant", "content": "b"})";
  refused(made, talk(user), "f:1: the conversation has no message of the assistant");
  refused(made, talk(answer), "messages[0]: a message of the assistant is the first");
  refused(made, talk(user + "," + answer + "," + answer),
          "messages[2]: a message of the assistant comes after one of the assistant");
  refused(made, talk(user + "," + R"({"role": "system", "content": "s"})"),
          "messages[1]: a message of the system comes after one of the user");
  refused(made, talk(R"({"role": "usr", "content": "a"})"), "\"role\" is 'usr'");
  refused(made, talk(R"({"role": "user"})"), "messages[0]: key \"content\" is missing");
  refused(made, talk(R"({"role": "user", "content": 1})"), "\"content\" is number");
  refused(made, talk("7"), "messages[0]: number, must be a message");
  refused(made, talk(user + R"(,{"role": "assistant", "content": "b", "train": 1})"),
          "\"train\" is number, must be true or false");
  refused(made, R"({"messages": 1})", "must be a list of messages");
  refused(made, R"({"text": "a"})", "key \"messages\" or \"conversations\" is missing");
  refused(encoder(DataFormat::kChat, "\n{{ raise_exception('no') }}"), talk(user + "," + answer),
          "template.jinja, line 2: the template refuses the conversation: no");
  refused(encoder(DataFormat::kChat, "{{ messages | length }}"), talk(user + "," + answer),
          "message 1: the template writes the conversation up to it in another way");
}

TEST_F(DocumentEncoding, SaysWhatIsMissing) {
  expect_error(ErrorKind::kRecipe, "chat: messages need a chat template, and the tokenizer byte",
               [&] { DocumentEncoder(DataFormat::kChat, options); });
  options.loss_on = "completion";
  expect_error(ErrorKind::kRecipe, "data of format jsonl have none",
               [&] { DocumentEncoder(DataFormat::kJsonl, options); });
}

TEST_F(DocumentEncoding, KnowsWhoseALineIs) {
  EXPECT_EQ(DocumentEncoder(DataFormat::kJsonl, options).key(), "");
  options.owners = true;
  const DocumentEncoder made(DataFormat::kJsonl, options);
  EXPECT_NE(made.key(), "");  // another token file
  const auto owner = [&](const std::string& line) {
    return made.encode(line, "f:1", *byte_tokenizer()).owner;
  };
  EXPECT_EQ(owner(R"({"text": "a", "user": "ann"})"), "ann");
  EXPECT_EQ(owner(R"({"user": 12, "text": "a"})"), "12");
  refused(made, R"({"text": "a"})", "f:1: key \"user\" is missing");
  refused(made, R"({"text": "a", "user": ""})", "\"user\" is an empty text");
  refused(made, R"({"text": "a", "user": [1]})", "\"user\" is array, must be a text");
  for (const char* user : {"1.5", "100000000000000000000"}) {
    refused(made, format(R"({{"text": "a", "user": {}}})", user),
            "\"user\" is a number that is no whole one of 64 bits, must be a text");
  }
  expect_error(ErrorKind::kRecipe, "data of format text have no users",
               [&] { DocumentEncoder(DataFormat::kText, options); });
}

TEST_F(DocumentEncoding, KnowsWhatDecidesTheIds) {
  const std::string key = encoder(DataFormat::kChat).key();
  EXPECT_EQ(encoder(DataFormat::kChat).key(), key);
  EXPECT_NE(encoder(DataFormat::kChat, "other").key(), key);
  options.loss_on = "all";
  EXPECT_NE(encoder(DataFormat::kChat).key(), key);
  EXPECT_EQ(encoder(DataFormat::kJsonl).key(), "");
}

}  // namespace
}  // namespace moesaic
