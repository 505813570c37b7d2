#include "common/image_arguments.h"

#include "core/format.h"

namespace moesaic {

bool ImageArguments::any() const {
  return !labels.empty() || !classes.empty() || map != "none" || permutation || mask_classes;
}

void add_image_arguments(CLI::App& verb, ImageArguments& a) {
  verb.add_option("--labels", a.labels, "images: IDX file of the labels");
  verb.add_option("--classes", a.classes,
                  "images: labels whose images are taken: 0,1 (default: all)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{255}));
  verb.add_option("--map", a.map,
                  "images: what of a label is the target: none | \"modulo N\" | index")
      ->capture_default_str();
  verb.add_option("--permutation", a.permutation, "images: seed of another order of the pixels")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{4294967295}));
  verb.add_flag("--mask-classes", a.mask_classes,
                "images: the outputs are those of --classes alone");
}

void append_arguments(std::vector<std::string>& argv, const ImageArguments& a) {
  if (!a.labels.empty()) argv.push_back("--labels=" + a.labels);
  for (const std::int64_t one : a.classes) argv.push_back(format("--classes={}", one));
  if (a.map != "none") argv.push_back("--map=" + a.map);
  if (a.permutation) argv.push_back(format("--permutation={}", *a.permutation));
  if (a.mask_classes) argv.emplace_back("--mask-classes");
}

}  // namespace moesaic
