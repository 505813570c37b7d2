// PRIVACY.md: what an exported model says of the data that it was trained on in private.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

inline constexpr const char* kPrivacyFile = "PRIVACY.md";

/// Of "training" in a checkpoint's manifest: unit, epsilon, delta, accountant, mechanism and steps,
/// as the ledger of the run says now, and what is not covered; the same of its silos where these
/// are hidden (federated.privacy). "" for a run without privacy.
/// Error(kCheckpoint) when the ledger is missing or not whole: nobody knows what was spent.
std::string privacy_card(const Json& training);

/// The same of the checkpoint in a folder; "" where there is none. Local.
std::string privacy_card_of(const std::string& folder);

}  // namespace moesaic
