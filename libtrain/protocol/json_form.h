// The values of the protocol as JSON, for the socket between a job and the program that speaks to
// the network for it. What reads them back throws Error(kCommunication) for another form.
#pragma once

#include <exception>
#include <string>

#include "core/json.h"
#include "protocol/messages.h"
#include "protocol/site_options.h"

namespace moesaic::sites {

Json json_of(const Blob& blob);
Json json_of(const Message& message);
Json json_of(const ListenOptions& options);
/// Without `alive`, which stays where it is.
Json json_of(const ConnectOptions& options);
/// Without `progress`, which may be long.
Json json_of(const SiloState& state);
/// Kind, message and hint of an Error; any other exception is kInternal.
Json json_of(const std::exception& error);

Blob blob_from(const Json& json);
Message message_from(const Json& json);
ListenOptions listen_options_from(const Json& json);
ConnectOptions connect_options_from(const Json& json);
SiloState state_from(const Json& json);
Error error_from(const Json& json);

/// A member that must be there.
const Json& member_of(const Json& json, const char* key);
std::string text_of(const Json& json, const char* key);
double number_of(const Json& json, const char* key);

/// One line as JSON: an object of bounded size and depth.
Json object_from(const std::string& line, const std::string& where);

}  // namespace moesaic::sites
