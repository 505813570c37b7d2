#include "data/chat/template_interpreter.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/format.h"
#include "data/chat/template_builtins.h"
#include "data/chat/template_operators.h"

namespace moesaic::chat {
namespace {

constexpr std::int64_t kMostSteps = 500'000;
constexpr std::size_t kMostWork = 256U << 20;  // bytes of texts that are written to any output
constexpr int kMostDepth = 60;                 // of macros in macros

/// Names in a scope and in those around it.
struct Scope {
  std::map<std::string, Value> names;
  Scope* around = nullptr;

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->around) {
      const auto found = scope->names.find(name);
      if (found != scope->names.end()) return &found->second;
    }
    return nullptr;
  }
};

enum class Flow { kOn, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(const std::map<std::string, Value>& globals, const std::string& where)
      : where_(where) {
    root_.names = globals;
    scope_ = &root_;
  }

  RenderedChat run(const Body& body) {
    try {
      execute(body, rendered_.text);
    } catch (const Error& error) {
      throw Error(ErrorKind::kData, format("{}, line {}: {}", where_, line_, error.what()));
    }
    return std::move(rendered_);
  }

 private:
  void step(int line) {
    line_ = line;
    if (++steps_ > kMostSteps) refuse(format("the template takes over {} steps", kMostSteps));
  }

  void write(std::string_view text, std::string& out) {
    out += text;
    written_ += text.size();
    if (out.size() > kMostTextBytes || written_ > kMostWork) refuse("the template writes too much");
  }

  Flow execute(const Body& body, std::string& out) {
    for (const Statement& statement : body) {
      const Flow flow = execute(statement, out);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow execute(const Statement& s, std::string& out) {
    step(s.line);
    using Kind = Statement::Kind;
    switch (s.kind) {
      case Kind::kText:
        write(s.text, out);
        break;
      case Kind::kOutput:
        write(to_text(evaluate(*s.expression)), out);
        break;
      case Kind::kFor:
        loop(s, out);
        break;
      case Kind::kIf:
        return execute(evaluate(*s.expression).is_true() ? s.body : s.otherwise, out);
      case Kind::kSet:
        assign(s);
        break;
      case Kind::kSetBlock:
        scope_->names[s.names[0]] = captured(s);
        break;
      case Kind::kMacro:
        define(s);
        break;
      case Kind::kFilter:
        write(to_text(captured(s)), out);
        break;
      case Kind::kGeneration:
        return generation(s, out);
      case Kind::kBreak:
        return Flow::kBreak;
      case Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  Flow generation(const Statement& s, std::string& out) {
    const std::size_t begin = out.size();
    const Flow flow = execute(s.body, out);
    if (&out == &rendered_.text && out.size() > begin)
      rendered_.generated.push_back({begin, out.size()});
    return flow;
  }

  // What the body writes, through the filters.
  Value captured(const Statement& s) {
    std::string text;
    Scope inner{{}, scope_};
    in_scope(inner, [&] { execute(s.body, text); });
    Value value = Value::of(std::move(text));
    return s.expression ? filtered(*s.expression, value) : value;
  }

  template <class Do>
  void in_scope(Scope& inner, const Do& work) {
    Scope* const outer = scope_;
    scope_ = &inner;
    try {
      work();
    } catch (...) {
      scope_ = outer;
      throw;
    }
    scope_ = outer;
  }

  void assign(const Statement& s) {
    const Value value = evaluate(*s.expression);
    if (!s.text.empty()) {
      const Value* const space = scope_->find(s.text);
      if (space == nullptr || !space->space)
        refuse(format("'{}' is no namespace", printable(s.text, 60)));
      (*space->space)[s.names[0]] = value;
      return;
    }
    bind(s.names, value, scope_->names);
  }

  static void bind(const std::vector<std::string>& names, const Value& value,
                   std::map<std::string, Value>& into) {
    if (names.size() == 1) {
      into[names[0]] = value;
      return;
    }
    const auto parts = elements(value);
    if (parts.size() != names.size())
      refuse(format("{} values for {} names", parts.size(), names.size()));
    for (std::size_t i = 0; i < names.size(); ++i) into[names[i]] = parts[i];
  }

  void loop(const Statement& s, std::string& out) {
    std::vector<Value> all = elements(evaluate(*s.expression));
    if (s.condition) keep_those(s, all);
    if (all.empty()) {
      execute(s.otherwise, out);
      return;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      step(s.line);
      Scope inner{{}, scope_};
      bind(s.names, all[i], inner.names);
      inner.names["loop"] = loop_value(all, i);
      Flow flow = Flow::kOn;
      in_scope(inner, [&] { flow = execute(s.body, out); });
      if (flow == Flow::kBreak) break;
    }
  }

  void keep_those(const Statement& s, std::vector<Value>& all) {
    std::vector<Value> kept;
    for (const Value& one : all) {
      step(s.line);
      Scope inner{{}, scope_};
      bind(s.names, one, inner.names);
      in_scope(inner, [&] {
        if (evaluate(*s.condition).is_true()) kept.push_back(one);
      });
    }
    all.swap(kept);
  }

  static Value loop_value(const std::vector<Value>& all, std::size_t i) {
    const auto index = static_cast<std::int64_t>(i), size = std::ssize(all);
    auto space = std::make_shared<Space>();
    *space = {{"index", Value::of(index + 1)},
              {"index0", Value::of(index)},
              {"revindex", Value::of(size - index)},
              {"revindex0", Value::of(size - index - 1)},
              {"first", Value::of(index == 0)},
              {"last", Value::of(index + 1 == size)},
              {"length", Value::of(size)},
              {"depth", Value::of(1)},
              {"depth0", Value::of(0)},
              {"previtem", i > 0 ? all[i - 1] : Value::undefined("previtem")},
              {"nextitem", i + 1 < all.size() ? all[i + 1] : Value::undefined("nextitem")}};
    return {{}, std::move(space), {}, {}};
  }

  void define(const Statement& s) {
    Value macro;
    macro.call = [this, &s](const Arguments& given) { return expand(s, given); };
    scope_->names[s.text] = std::move(macro);
  }

  Value expand(const Statement& s, const Arguments& given) {
    if (++depth_ > kMostDepth) refuse("macros call each other too deeply");
    Scope inner{{}, &root_};
    if (given.places.size() > s.names.size())
      refuse(format("macro {} takes {} arguments", s.text, s.names.size()));
    for (const auto& [name, value] : given.names) {
      if (std::find(s.names.begin(), s.names.end(), name) == s.names.end())
        refuse(format("macro {} has no argument '{}'", s.text, printable(name, 60)));
    }
    std::string out;
    in_scope(inner, [&] {
      const std::size_t required = s.names.size() - s.defaults.size();
      for (std::size_t i = 0; i < s.names.size(); ++i) {
        const Value* const value = given.find(i, s.names[i]);
        inner.names[s.names[i]] = value != nullptr ? *value
                                  : i >= required  ? evaluate(*s.defaults[i - required])
                                                   : Value::undefined(s.names[i]);
      }
      execute(s.body, out);
    });
    --depth_;
    return Value::of(std::move(out));
  }

  Arguments arguments(const CallArguments& call) {
    Arguments made;
    for (const auto& one : call.places) made.places.push_back(evaluate(*one));
    for (const auto& [name, one] : call.names) made.names[name] = evaluate(*one);
    return made;
  }

  // Filters of a block: the innermost has nothing before it.
  Value filtered(const Expression& e, const Value& of) {
    return apply_filter(e.text, e.parts[0] ? filtered(*e.parts[0], of) : of,
                        arguments(e.arguments));
  }

  Value evaluate(const Expression& e) {
    step(e.line);
    using Kind = Expression::Kind;
    switch (e.kind) {
      case Kind::kConstant:
        return e.value;
      case Kind::kName: {
        const Value* const found = scope_->find(e.text);
        return found != nullptr ? *found : Value::undefined(e.text);
      }
      case Kind::kList:
        return list(e);
      case Kind::kDict:
        return dict(e);
      case Kind::kAttribute:
        return member(evaluate(*e.parts[0]), e.text);
      case Kind::kItem:
        return item(evaluate(*e.parts[0]), evaluate(*e.parts[1]));
      case Kind::kSlice:
        return sliced(e);
      case Kind::kCall:
        return call(e);
      case Kind::kFilter:
        return filter(e);
      case Kind::kTest:
        return Value::of(apply_test(e.text, evaluate(*e.parts[0]), arguments(e.arguments)));
      case Kind::kUnary:
        return unary(e);
      case Kind::kBinary:
        return binary(e);
      case Kind::kChain:
        return chain(e);
      case Kind::kChoice:
        break;
    }
    if (evaluate(*e.parts[1]).is_true()) return evaluate(*e.parts[0]);
    return e.parts[2] ? evaluate(*e.parts[2]) : Value::undefined("else");
  }

  Value list(const Expression& e) {
    Json all = Json::array();
    for (const auto& part : e.parts) all.push_back(json_of(evaluate(*part)));
    return Value::of(std::move(all));
  }

  Value dict(const Expression& e) {
    Json all = Json::object();
    for (std::size_t i = 0; i < e.parts.size(); i += 2) {
      const Value key = evaluate(*e.parts[i]);
      all[text_of(key, "a key")] = json_of(evaluate(*e.parts[i + 1]));
    }
    return Value::of(std::move(all));
  }

  Value sliced(const Expression& e) {
    const Value of = evaluate(*e.parts[0]);
    Value bounds[3];
    const Value* given[3] = {};
    for (std::size_t i = 0; i < 3; ++i) {
      if (!e.parts[i + 1]) continue;
      bounds[i] = evaluate(*e.parts[i + 1]);
      given[i] = &bounds[i];
    }
    return slice(of, given[0], given[1], given[2]);
  }

  Value call(const Expression& e) {
    const Expression& callee = *e.parts[0];
    if (callee.kind == Expression::Kind::kAttribute) {
      const Value of = evaluate(*callee.parts[0]);
      if (has_method(of, callee.text)) return call_method(of, callee.text, arguments(e.arguments));
      const Value found = member(of, callee.text);
      if (!found.call)
        refuse(format("{} has no method '{}'", type_name(of), printable(callee.text, 60)));
      return found.call(arguments(e.arguments));
    }
    const Value function = evaluate(callee);
    if (!function.call)
      refuse(function.is_undefined() ? format("'{}' is undefined", printable(function.name, 60))
                                     : format("a {} is not callable", type_name(function)));
    return function.call(arguments(e.arguments));
  }

  Value filter(const Expression& e) {
    const Value of = evaluate(*e.parts[0]);
    steps_ += of.is_list() ? std::ssize(*of.json) : 0;
    return apply_filter(e.text, of, arguments(e.arguments));
  }

  Value unary(const Expression& e) {
    const Value of = evaluate(*e.parts[0]);
    if (e.text == "not") return Value::of(!of.is_true());
    if (!of.is_number()) refuse(format("'{}' of a {}", e.text, type_name(of)));
    return e.text == "+" ? of : operate("-", Value::of(0), of);
  }

  Value binary(const Expression& e) {
    const Value left = evaluate(*e.parts[0]);
    if (e.text == "and") return left.is_true() ? evaluate(*e.parts[1]) : left;
    if (e.text == "or") return left.is_true() ? left : evaluate(*e.parts[1]);
    const Value result = operate(e.text, left, evaluate(*e.parts[1]));
    if (result.is_text()) written_ += result.json->get_ref<const std::string&>().size();
    if (written_ > kMostWork) refuse("the template writes too much");
    return result;
  }

  Value chain(const Expression& e) {
    Value left = evaluate(*e.parts[0]);
    std::string names = e.text;
    for (std::size_t i = 1; i < e.parts.size(); ++i) {
      const Value right = evaluate(*e.parts[i]);
      const std::size_t comma = names.find(',');
      if (!compare(names.substr(0, comma), left, right)) return Value::of(false);
      names = comma == std::string::npos ? "" : names.substr(comma + 1);
      left = right;
    }
    return Value::of(true);
  }

  const std::string& where_;
  RenderedChat rendered_;
  Scope root_;
  Scope* scope_ = nullptr;
  std::int64_t steps_ = 0;
  std::size_t written_ = 0;
  int depth_ = 0, line_ = 0;
};

}  // namespace

RenderedChat run_template(const Body& body, const std::map<std::string, Value>& globals,
                          const std::string& where) {
  return Interpreter(globals, where).run(body);
}

}  // namespace moesaic::chat
