#include "config/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <set>
#include <sstream>

#include "core/error.h"

namespace moesaic {
namespace {

// Ends the parse at once: yaml-cpp recurses only after it told the handler, so its stack stays
// bounded.
struct Stop {
  YAML::Mark mark;
  std::string message;
};

// Builds the tree from parser events. Events, not yaml-cpp's own nodes: aliases never expand,
// duplicate keys are seen, and nothing is built before it is counted.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const std::string> source, bool positions, const YamlLimits& limits,
              ProblemList& problems)
      : source_(std::move(source)), positions_(positions), limits_(limits), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw Stop{mark, "a second document; a recipe is one document"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(mark, YamlNode{});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problems_.error(place(mark), "", "an alias (*name) is not allowed; write the value out");
    add(mark, YamlNode{});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (tag != "?" && tag != "!") refuse_tag(mark);
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = value;
    node.quoted = tag == "!";
    add(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { close(); }

  Place place(const YAML::Mark& mark) const {
    if (!positions_ || mark.is_null()) return {source_, 0, 0};
    return {source_, mark.line + 1, mark.column + 1};
  }
  std::optional<YamlNode> take() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    std::set<std::string, std::less<>> seen;
    std::optional<YamlNode::Key> key;  // of a mapping: the key whose value comes next
    bool drop = false;                 // that value belongs to a refused key
  };

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == 0) return;
    problems_.error(place(mark), "", "an anchor (&name) is not allowed; write the value out");
  }
  void refuse_tag(const YAML::Mark& mark) {
    problems_.error(place(mark), "", "a tag (!name) is not allowed; remove it");
  }
  void count(const YAML::Mark& mark) const {
    if (nodes_ > limits_.nodes) throw Stop{mark, format("more than {} values", limits_.nodes)};
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    refuse_anchor(mark, anchor);
    if (tag != "?" && !tag.empty()) refuse_tag(mark);
    if (open_.size() >= limits_.depth) {
      throw Stop{mark, format("nested deeper than {} levels", limits_.depth)};
    }
    Open level;
    level.node.kind = kind;
    level.node.place = place(mark);
    open_.push_back(std::move(level));
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    attach(std::move(node));
  }

  void add(const YAML::Mark& mark, YamlNode node) {
    ++nodes_;
    count(mark);
    node.place = place(mark);
    attach(std::move(node));
  }

  void attach(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.is_sequence()) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      take_key(parent, node);
    } else {
      if (!parent.drop) {
        parent.node.keys.push_back(std::move(*parent.key));
        parent.node.items.push_back(std::move(node));
      }
      parent.key.reset();
    }
  }

  void take_key(Open& parent, const YamlNode& node) {
    parent.key = YamlNode::Key{node.text, node.place};
    parent.drop = true;
    if (!node.is_scalar()) {
      problems_.error(node.place, "", format("a key must be a word, got {}", node.shown()));
    } else if (node.text == "<<" && !node.quoted) {
      problems_.error(node.place, "", "a merge key (<<) is not allowed; use `extends`");
    } else if (!parent.seen.insert(node.text).second) {
      problems_.error(node.place, "",
                      format("duplicate key {}; the first one counts", shown(node.text)));
    } else {
      parent.drop = false;
    }
  }

  std::shared_ptr<const std::string> source_;
  bool positions_;
  YamlLimits limits_;
  ProblemList& problems_;
  std::vector<Open> open_;
  std::optional<YamlNode> root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

// Bytes of the well-formed UTF-8 character at the start of `text`, 0 when it is none. Overlong
// forms pass: they name no file and no key, so they do no harm.
std::size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// yaml-cpp replaces what it cannot read and takes other encodings for granted; a recipe is plain
// UTF-8.
std::optional<Place> first_bad_byte(std::string_view text) {
  Place place{nullptr, 1, 1};
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t length = character_length(text.substr(i));
    const bool control =
        static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r';
    if (length == 0 || control || c == 0x7F) return place;
    i += length;
    ++place.column;
    if (c == '\n') ++place.line, place.column = 1;
  }
  return std::nullopt;
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

const YamlNode* YamlNode::at(std::string_view path) const {
  if (path.empty()) return this;
  const std::size_t dot = path.find('.');
  const YamlNode* below = find(path.substr(0, dot));
  if (below == nullptr || dot == std::string_view::npos) return below;
  return below->at(path.substr(dot + 1));
}

std::string YamlNode::shown() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return moesaic::shown(text);
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "";
}

YamlNode parse_yaml(std::string_view text, const std::string& source, ProblemList& problems,
                    bool positions, const YamlLimits& limits) {
  const auto name = std::make_shared<const std::string>(source);
  const Place whole{name, 0, 0};
  if (text.size() > limits.bytes) {
    problems.error(whole, "",
                   format("{} bytes of YAML, at most {} are read", text.size(), limits.bytes));
    return {};
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);  // a byte order mark
  if (std::optional<Place> bad = first_bad_byte(text)) {
    if (!positions) bad->line = 0;
    problems.error({name, bad->line, bad->column}, "", "not UTF-8 text, or a control character");
    return {};
  }
  TreeBuilder builder(name, positions, limits, problems);
  // Without the end marker, yaml-cpp takes a quote that is never closed for text up to the end of
  // the file.
  std::istringstream stream{std::string(text) + "\n...\n"};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    YamlNode root = builder.take().value_or(YamlNode{});
    if (!root.place.source) root.place = whole;
    return root;
  } catch (const Stop& stop) {
    problems.error(builder.place(stop.mark), "", stop.message);
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    problems.error(builder.place(error.mark), "",
                   format("invalid YAML: {}",
                          open_quote ? "a quote that opens above is not closed" : error.msg));
  }
  return {};
}

}  // namespace moesaic
