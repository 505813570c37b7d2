// What is to be learned of a conversation.
#pragma once

#include <string>

#include "data/chat/chat_template.h"
#include "data/chat/conversation.h"

namespace moesaic {

/// The conversation as `chat` writes it, where `generated` is what is to be learned: of each answer
/// that is trained what the template marks; or, where it has no marks, what stands after its
/// generation prompt, up to and with what closes the turn. Error(kData) naming `where` also where
/// that cannot be told.
RenderedChat render_with_targets(const ChatTemplate& chat, const Json& variables,
                                 const Conversation& conversation, const std::string& where);

}  // namespace moesaic
