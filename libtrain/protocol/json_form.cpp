#include "protocol/json_form.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "protocol/line_socket.h"

namespace moesaic::sites {
namespace {

[[noreturn]] void refuse_form(const char* key, const char* form) {
  throw Error(ErrorKind::kCommunication,
              format("between the job and its end of the wire: '{}' is no {}", key, form));
}

template <class Whole>
Whole whole_of(const Json& json, const char* key) {
  const Json& value = member_of(json, key);
  if (!value.is_number_integer()) refuse_form(key, "whole number");
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<Whole>::max()))
    refuse_form(key, "number of this size");
  if (!value.is_number_unsigned() && std::is_unsigned_v<Whole>)
    refuse_form(key, "number from 0 on");
  return value.get<Whole>();
}

}  // namespace

const Json& member_of(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  if (found == json.end()) refuse_form(key, "member of what came");
  return *found;
}

std::string text_of(const Json& json, const char* key) {
  const Json& value = member_of(json, key);
  if (!value.is_string()) refuse_form(key, "text");
  return value.get<std::string>();
}

double number_of(const Json& json, const char* key) {
  const Json& value = member_of(json, key);
  if (!value.is_number() || !std::isfinite(value.get<double>())) refuse_form(key, "number");
  return value.get<double>();
}

Json object_from(const std::string& line, const std::string& where) {
  const Json json = parse_json(line, where, ErrorKind::kCommunication,
                               {.bytes = kLineBytes, .values = 1'000'000, .token = kBodyBytes});
  MOESAIC_CHECK(json.is_object(), ErrorKind::kCommunication, "{} is no object", where);
  return json;
}

Json json_of(const Blob& blob) { return {{"digest", blob.digest}, {"bytes", blob.bytes}}; }

Blob blob_from(const Json& json) {
  return {.digest = text_of(json, "digest"), .bytes = whole_of<std::uint64_t>(json, "bytes")};
}

Json json_of(const Message& message) {
  Json json = {{"kind", message.kind}, {"round", message.round}, {"body", message.body}};
  if (message.blob) json["blob"] = json_of(*message.blob);
  return json;
}

Message message_from(const Json& json) {
  Message message{.kind = text_of(json, "kind"),
                  .round = whole_of<std::int64_t>(json, "round"),
                  .body = member_of(json, "body")};
  if (json.contains("blob")) message.blob = blob_from(json["blob"]);
  return message;
}

Json json_of(const ListenOptions& options) {
  return {{"listen", options.listen},
          {"keys", options.keys},
          {"run", options.run},
          {"inbox", options.inbox},
          {"most_blob_bytes", options.most_blob_bytes},
          {"heartbeat_s", options.heartbeat_s},
          {"stall_s", options.stall_s}};
}

ListenOptions listen_options_from(const Json& json) {
  return {.listen = text_of(json, "listen"),
          .keys = text_of(json, "keys"),
          .run = text_of(json, "run"),
          .inbox = text_of(json, "inbox"),
          .most_blob_bytes = whole_of<std::uint64_t>(json, "most_blob_bytes"),
          .heartbeat_s = number_of(json, "heartbeat_s"),
          .stall_s = number_of(json, "stall_s")};
}

Json json_of(const ConnectOptions& options) {
  return {{"connect", options.connect},
          {"keys", options.keys},
          {"most_blob_bytes", options.most_blob_bytes},
          {"heartbeat_s", options.heartbeat_s},
          {"stall_s", options.stall_s},
          {"deadline_s", options.deadline_s}};
}

ConnectOptions connect_options_from(const Json& json) {
  return {.connect = text_of(json, "connect"),
          .keys = text_of(json, "keys"),
          .most_blob_bytes = whole_of<std::uint64_t>(json, "most_blob_bytes"),
          .heartbeat_s = number_of(json, "heartbeat_s"),
          .stall_s = number_of(json, "stall_s"),
          .deadline_s = number_of(json, "deadline_s"),
          .alive = {}};
}

Json json_of(const SiloState& state) {
  return {{"silo", state.silo},
          {"silent_s", state.silent_s},
          {"bytes_in", state.bytes_in},
          {"bytes_out", state.bytes_out}};
}

SiloState state_from(const Json& json) {
  return {.silo = text_of(json, "silo"),
          .silent_s = number_of(json, "silent_s"),
          .bytes_in = whole_of<std::uint64_t>(json, "bytes_in"),
          .bytes_out = whole_of<std::uint64_t>(json, "bytes_out")};
}

Json json_of(const std::exception& error) {
  const auto* const known = dynamic_cast<const Error*>(&error);
  return {{"kind", known != nullptr ? known->exit_code() : static_cast<int>(ErrorKind::kInternal)},
          {"message", error.what()},
          {"hint", known != nullptr ? known->hint() : std::string()}};
}

Error error_from(const Json& json) {
  return {kind_of(whole_of<int>(json, "kind")).value_or(ErrorKind::kInternal),
          text_of(json, "message"), text_of(json, "hint")};
}

}  // namespace moesaic::sites
