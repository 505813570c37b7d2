#include "arch/passed_over.h"

#include <set>

namespace moesaic::arch {
namespace {

using Names = std::set<std::string_view>;

const Names& generation_keys() {
  static const Names names = {"assistant_confidence_threshold",
                              "assistant_early_exit",
                              "assistant_ensemble_weight",
                              "assistant_lookbehind",
                              "bad_words_ids",
                              "begin_suppress_tokens",
                              "cache_config",
                              "cache_implementation",
                              "compile_config",
                              "constraints",
                              "continuous_batching_config",
                              "disable_compile",
                              "diversity_penalty",
                              "do_sample",
                              "dola_layers",
                              "early_stopping",
                              "encoder_no_repeat_ngram_size",
                              "encoder_repetition_penalty",
                              "epsilon_cutoff",
                              "eta_cutoff",
                              "exponential_decay_length_penalty",
                              "force_words_ids",
                              "forced_bos_token_id",
                              "forced_decoder_ids",
                              "forced_eos_token_id",
                              "generation_config",
                              "guidance_scale",
                              "is_assistant",
                              "length_penalty",
                              "low_memory",
                              "max_cache_len",
                              "max_length",
                              "max_matching_ngram_size",
                              "max_new_tokens",
                              "max_time",
                              "min_length",
                              "min_new_tokens",
                              "min_p",
                              "no_repeat_ngram_size",
                              "num_assistant_tokens",
                              "num_assistant_tokens_schedule",
                              "num_beam_groups",
                              "num_beams",
                              "num_return_sequences",
                              "output_logits",
                              "output_scores",
                              "penalty_alpha",
                              "prefill_chunk_size",
                              "prompt_lookup_num_tokens",
                              "remove_invalid_values",
                              "renormalize_logits",
                              "repetition_penalty",
                              "return_dict_in_generate",
                              "sequence_bias",
                              "speculation_type",
                              "stop_strings",
                              "suppress_tokens",
                              "target_lookbehind",
                              "temperature",
                              "token_healing",
                              "top_h",
                              "top_k",
                              "top_p",
                              "typical_p",
                              "use_mtp",
                              "watermarking_config"};
  return names;
}

const Names& origin_keys() {  // and what the tokenizer's files say better
  static const Names names = {"architectures",
                              "auto_map",
                              "base_model_name_or_path",
                              "bos_token",
                              "bos_token_id",
                              "cls_token_id",
                              "chat_template",
                              "_commit_hash",
                              "decoder_start_token_id",
                              "eos_token",
                              "eos_token_id",
                              "finetuning_task",
                              "id2label",
                              "label2id",
                              "mask_token_id",
                              "model_type",
                              "_name_or_path",
                              "name_or_path",
                              "num_labels",
                              "pad_token",
                              "pad_token_id",
                              "prefix",
                              "problem_type",
                              "sep_token_id",
                              "task_specific_params",
                              "tokenizer_class",
                              "transformers_version",
                              "unk_token_id"};
  return names;
}

// The lengths are those that a tokenizer or a training set had; max_position_embeddings is read.
const Names& running_keys() {
  static const Names names = {"_attn_implementation",
                              "_attn_implementation_autoset",
                              "_attn_implementation_internal",
                              "_experts_implementation",
                              "_experts_implementation_internal",
                              "_flash_attn_2_enabled",
                              "_from_model_config",
                              "attn_impl",
                              "attn_implementation",
                              "base_model_ep_plan",
                              "base_model_pp_plan",
                              "base_model_tp_plan",
                              "bf16",
                              "chunk_size_feed_forward",
                              "dtype",
                              "ep_size",
                              "experts_implementation",
                              "flash_attention",
                              "fp16",
                              "fp32",
                              "gradient_checkpointing",
                              "is_decoder",
                              "keys_to_ignore_at_inference",
                              "max_seq_len",
                              "max_seq_length",
                              "max_sequence_length",
                              "model_max_length",
                              "model_parallel",
                              "neuron",
                              "onnx",
                              "output_attentions",
                              "output_hidden_states",
                              "output_router_logits",
                              "pretraining_tp",
                              "return_dict",
                              "seq_length",
                              "tie_encoder_decoder",
                              "tokenizer_model_max_length",
                              "torch_dtype",
                              "torchscript",
                              "tf_legacy_loss",
                              "transformers.js_config",
                              "trust_remote_code",
                              "use_bfloat16",
                              "use_cache",
                              "use_flash_attention",
                              "use_flash_attention_2",
                              "use_flash_attn",
                              "use_return_dict"};
  return names;
}

// Weights of losses: the recipe has its own.
const Names& training_keys() {
  static const Names names = {"aux_loss_alpha", "classifier_dropout", "router_aux_loss_coef",
                              "router_z_loss_coef", "seq_aux"};
  return names;
}

}  // namespace

bool is_generation_key(std::string_view key) { return generation_keys().contains(key); }

bool is_passed_over(std::string_view key) {
  return is_generation_key(key) || origin_keys().contains(key) || running_keys().contains(key) ||
         training_keys().contains(key) || key.starts_with("unsloth_");
}

}  // namespace moesaic::arch
