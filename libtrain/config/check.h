// Checks that need more than one key: sizes that must fit each other, the architecture, settings
// without effect.
#pragma once

#include "config/recipe_reader.h"

namespace moesaic {

/// What the keys of a recipe must be to each other. Fills run_dir.
void check_recipe(Recipe& recipe, const Places& places, ProblemList& problems);

/// With model.from the architecture is that of the weights: fills model.config, and a tokenizer
/// that is not given, from the files there. A model.config beside it may change a few keys alone.
void resolve_model(Recipe& recipe, const Places& places, ProblemList& problems);

/// With adapt.from: fills the keys of adapt.lora that are not given from the adapter there; those
/// given must be its own.
void resolve_adapter(Recipe& recipe, const Places& places, ProblemList& problems);

/// The architecture, and how it fits the layout and the data.
void check_architecture(const Recipe& recipe, const Places& places, ProblemList& problems);

/// Whether the sources are what the model reads, tokens or images.
void check_sources(const Recipe& recipe, const arch::Options& options, const Places& places,
                   ProblemList& problems);

/// How the optimizer and the course of the run fit the architecture and each other.
void check_training(const Recipe& recipe, const arch::Options& options, const Places& places,
                    ProblemList& problems);
/// What the block adapt asks of the architecture.
void check_adaptation(const Recipe& recipe, const Places& places, ProblemList& problems);

/// What the block continual asks of the rest and of the architecture.
void check_continual(const Recipe& recipe, const arch::Options& options, const Places& places,
                     ProblemList& problems);

/// What the block privacy sets where nothing else is said: train.clip_norm 0, moe.balance.type
/// sequence, train.global_batch_size what it expects, its delta that of the budget, its ledger in the run folder.
void resolve_privacy(Recipe& recipe, const Places& places, ProblemList& problems);
/// The same of federated.privacy: aggregator.weights uniform, its delta and its ledger.
void resolve_silo_privacy(Recipe& recipe, const Places& places, ProblemList& problems);
/// What the block privacy asks of the rest and of the architecture.
void check_privacy(const Recipe& recipe, const arch::Options& options, const Places& places,
                   ProblemList& problems);

/// What the block federated asks of itself and of the rest.
void check_federated(const Recipe& recipe, const Places& places, ProblemList& problems);

/// What is wrong with a run by a method that has neither importances nor tasks.
std::string nothing_to_pull_to(const std::string& method);

/// Whether the anchors of what adapters change are kept; else they are 0, as adapters begin.
bool keeps_anchors_of_changes(const Recipe& recipe);

/// Warnings for keys that were set and change nothing.
void warn_without_effect(const Recipe& recipe, const arch::Options& options, const Places& places,
                         ProblemList& problems);

/// Place of the key, or of the nearest list or section above it.
Place place_of(const Places& places, std::string key);

/// The data and steps of the run, or those of its tasks (continual.tasks).
void check_tasks(const Recipe& recipe, const Places& places, ProblemList& problems);

/// Whether any source of the recipe has text, for which a tokenizer is needed: as its files say
/// where its format is auto, and so where they are not there.
bool reads_text(const Recipe& recipe);

}  // namespace moesaic
