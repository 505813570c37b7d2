// Packing of pieces of documents into sequences by best fit decreasing.
#pragma once

#include <cstdint>
#include <vector>

#include "data/document_pieces.h"

namespace moesaic {

/// Puts the pieces of a sequence side by side and returns where each sequence begins, and the
/// number of pieces. A sequence has at most `sequence_length` inputs, and no piece may have more.
/// In each window of the list the longest pieces come first, each into the fullest sequence that it
/// fits in.
/// Sequences, and the pieces within one, keep the order of the list.
std::vector<std::int64_t> pack_best_fit(std::vector<Piece>& pieces, std::int64_t sequence_length);

}  // namespace moesaic
