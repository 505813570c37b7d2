#include "observe/trace_json.h"

#include <iterator>

namespace moesaic {
namespace {

using Text = std::back_insert_iterator<std::string>;

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

const char* category(Tracer::Kind kind) {
  switch (kind) {
    case Tracer::Kind::kSpan:
      return "span";
    case Tracer::Kind::kBackward:
      return "backward";
    case Tracer::Kind::kWait:
      return "wait";
    case Tracer::Kind::kCollective:
      return "collective";
  }
  return "";
}

// The format counts in microseconds; three decimals keep every nanosecond.
std::string microseconds(std::int64_t ns) {
  const char* sign = ns < 0 ? "-" : "";
  const std::uint64_t size =
      ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  return format("{}{}.{:03}", sign, size / 1000, size % 1000);
}

std::string metadata(const char* what, int rank, const std::string& key, const std::string& value) {
  return format(R"({{"ph":"M","name":"{}","pid":{},"tid":0,"args":{{"{}":{}}}}})", what, rank, key,
                value);
}

void append_span(Text out, const Tracer::Event& event, const std::string& name,
                 const TraceProcess& process) {
  fmt::format_to(out, R"({{"ph":"X","cat":"{}","name":{},"pid":{},"tid":0,"ts":{},"dur":{}}})",
                 category(event.kind), name, process.rank,
                 microseconds(event.begin_ns - process.origin_ns),
                 microseconds(event.end_ns - event.begin_ns));
}

// Begin and end find each other by their id, which is to differ also between processes.
void append_collective(Text out, const Tracer::Event& event, const std::string& name,
                       const TraceProcess& process, std::size_t number) {
  const auto half = [&](const char* phase, std::int64_t ns) {
    fmt::format_to(
        out, R"({{"ph":"{}","cat":"{}","id":"0x{:x}","name":{},"pid":{},"tid":0,"ts":{}}})", phase,
        category(event.kind), static_cast<std::uint64_t>(process.rank) << 32 | number, name,
        process.rank, microseconds(ns - process.origin_ns));
  };
  half("b", event.begin_ns);
  fmt::format_to(out, ",\n");
  half("e", event.end_ns);
}

}  // namespace

std::string to_trace_events(const Tracer& tracer, const TraceProcess& process) {
  std::vector<std::string> names;
  for (const std::string& name : tracer.names()) names.push_back(quoted(name));
  const std::string label = quoted(format("rank {} on {}", process.rank, process.host));
  std::string text =
      metadata("process_name", process.rank, "name", label) + ",\n" +
      metadata("process_sort_index", process.rank, "sort_index", format("{}", process.rank)) +
      ",\n" + metadata("thread_name", process.rank, "name", "\"work\"");
  const Text out(text);
  const auto& events = tracer.events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::string& name = names[events[i].name];
    fmt::format_to(out, ",\n");
    if (events[i].kind == Tracer::Kind::kCollective) {
      append_collective(out, events[i], name, process, i);
    } else {
      append_span(out, events[i], name, process);
    }
  }
  return text;
}

std::string trace_head() { return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"; }

std::string trace_tail(const Json& about) {
  return "\n],\"otherData\":" + about.dump(-1, ' ', true, Json::error_handler_t::replace) + "}\n";
}

}  // namespace moesaic
