// The keys of the block continual.
#include "config/schema_builder.h"

namespace moesaic {
namespace {

using namespace rules;

constexpr double kMostLambda = 1e30;

std::vector<KeyOf<ContinualTask>> task_keys() {
  std::vector<KeyOf<ContinualTask>> keys;
  add_key(keys, FIELD(name), required(), "Its name in tasks.json and in the metrics.");
  add_key(keys, FIELD(train), required(), "Its training data.");
  add_key(keys, FIELD(valid), required(), "Its validation data, looked at after every task.");
  Rule max_steps = from(1, kMostSteps);
  max_steps.required = true;
  add_key(keys, FIELD(max_steps), max_steps, "Its optimizer steps.");
  return keys;
}

std::vector<KeyOf<ContinualOptions>> continual_keys() {
  std::vector<KeyOf<ContinualOptions>> keys;
  add_key(keys, FIELD(method), one_of({"none", "ewc", "online_ewc", "l2", "si", "mas", "lwf"}),
          "What is added to the loss: a pull of each weight to its old value, by its importance "
          "(l2: all alike), or with lwf the distance of the outputs from the old model's.");
  add_key(keys, FIELD(lambda), from(0, kMostLambda),
          "loss = task + lambda / 2 x the sum of F (w - anchor)^2; lwf: + lambda x KL.");
  add_key(keys, FIELD(importance), path(),
          "Files of moesaic importance, or checkpoints of runs that kept importances: the oldest "
          "first, the last one of the model that the run starts from.");
  add_key(
      keys, FIELD(fisher.labels), one_of({"exact", "sampled", "empirical", "batched"}),
      "Whose labels the gradients are of: all, weighted (classifiers); one drawn from the model "
      "per target; the data's; batched: the data's, squared after the mean of a micro-batch.");
  add_key(keys, FIELD(fisher.examples), size(),
          "Examples of the mean: the first draws of the training order, or all where there are "
          "fewer.");
  add_key(keys, FIELD(fisher.decay), from(0, 1),
          "Of what the tasks before have left (online_ewc).");
  add_key(keys, FIELD(fisher.routing_aware), {},
          "The mean of an expert is over the examples that reached it.");
  add_key(keys, FIELD(router_lambda), from(0, kMostLambda),
          "lambda of the routers; null = the same.");
  add_key(keys, FIELD(replay.share), {.least = 0, .most = 1, .below_most = true},
          "Share of each step's sequences that are drawn from replay.sources.");
  add_key(keys, FIELD(replay.sources), {}, "Old data.");
  add_key(keys, FIELD(temperature), positive(), "Of both models' outputs (lwf).");
  add_key(keys, FIELD(tasks), {},
          "Tasks that are learned one after the other, in place of data.train, data.valid and "
          "train.max_steps.");
  add_key(keys, FIELD(mask_classes), {},
          "The outputs are those of the task's classes alone (classifiers).");
  return keys;
}

}  // namespace

const Schema<ContinualTask>& schema_of(const ContinualTask*) {
  static const Schema<ContinualTask> schema{
      "task", "{name: legal, train: [...], valid: [...], max_steps: 200}", task_keys()};
  return schema;
}

const Schema<ContinualOptions>& schema_of(const ContinualOptions*) {
  static const Schema<ContinualOptions> schema{"continual learning", "{method: ewc}",
                                               continual_keys()};
  return schema;
}

}  // namespace moesaic
