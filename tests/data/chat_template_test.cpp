#include "data/chat/chat_template.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

const Json kTalk = {{{"role", "user"}, {"content", "hi"}},
                    {{"role", "assistant"}, {"content", " yo "}}};

std::string rendered(const std::string& source) {
  return ChatTemplate::parse(source, "template").render(kTalk, {true, {{"bos_token", "<s>"}}});
}

void refused(const std::string& source, const std::string& part) {
  try {
    FAIL() << rendered(source) << ", in place of: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(ChatTemplate, WritesAConversation) {
  EXPECT_EQ(rendered("{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] | trim "
                     "}}\n{% endfor %}"
                     "{% if add_generation_prompt %}>{% endif %}\n"),
            "<s>[user] hi\n[assistant] yo\n>");
}

TEST(ChatTemplate, TellsWhatTheAssistantSays) {
  const auto marked = ChatTemplate::parse(
      "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %}"
      "{{ m.content }};{% endgeneration %}{% else %}{{ m.content }};{% endif %}{% endfor %}",
      "template");
  EXPECT_TRUE(marked.marks_generation());
  const RenderedChat chat = marked.render_marked(kTalk, {});
  EXPECT_EQ(chat.text, "user:hi;assistant: yo ;");
  EXPECT_EQ(chat.generated, (std::vector<TextSpan>{{18, 23}}));
  const auto plain = ChatTemplate::parse("{{ messages[1].content }}", "template");
  EXPECT_FALSE(plain.marks_generation());
  EXPECT_TRUE(plain.render_marked(kTalk, {}).generated.empty());
}

TEST(ChatTemplate, KeepsSettingsInsideOfLoopsUnlessInANamespace) {
  EXPECT_EQ(
      rendered("{% set a = 1 %}{% set n = namespace(b=1) %}{% for i in range(3) %}{% set a = 9 %}"
               "{% set n.b = n.b + i %}{% endfor %}{{ a }} {{ n.b }}"),
      "1 4");
}

TEST(ChatTemplate, SaysWhatTheTemplateRefuses) {
  refused("\n{{ raise_exception('no ' ~ 'system') }}",
          "template, line 2: the template refuses the conversation: no system");
}

TEST(ChatTemplate, NamesWhatIsNotSupported) {
  refused("{% import 'x' as y %}", "line 1: 'import' is not supported");
  refused("a\n{{ 1 | groupby('x') }}", "line 2: the filter 'groupby' is not supported");
  refused("{{ 1 is sameas 1 }}", "the test 'sameas' is not supported");
  refused("{{ missing.name }}", "'missing' is undefined");
  refused("{{ missing() }}", "'missing' is undefined");
  refused("{% if true %}", "there is no endif");
  refused("{{ 1 + }}", "line 1");
  refused("{{ messages.__class__.x }}", "undefined");
}

TEST(ChatTemplate, EndsWhatWouldNotEnd) {
  refused("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          "steps");
  refused("{{ 'x' * 999999999 }}", "16 MB");
  refused("{{ range(999999999) }}", "100,000");
  refused("{{ 2 ** 999999999 }}", "64 bits");
  refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply");
  refused("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}", "nested");
  refused(
      "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for i in range(999) %}{% set n.t = n.t + "
      "n.t %}{% endfor %}",
      "16 MB");
}

}  // namespace
}  // namespace moesaic
