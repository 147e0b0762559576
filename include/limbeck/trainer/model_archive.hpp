#ifndef LIMBECK_TRAINER_MODEL_ARCHIVE_HPP
#define LIMBECK_TRAINER_MODEL_ARCHIVE_HPP

/// @file
/// A model in a checkpoint.

#include <limbeck/trainer/archive.hpp>

#include <iterator>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// What a model consists of: `m.parameters()`, a range of spans (or vectors) of float or double. They keep their sizes.
template <class M>
concept parametrised = requires(M& m) {
  std::span(*std::begin(m.parameters()));
  std::end(m.parameters());
};

namespace detail {

/// A model under a name: by its serialize, else by its parameters. False where it has neither.
template <class Archive, class Model>
bool archive_model(Archive& archive, const char* name, Model& model) {
  if constexpr (serializable<Model>) {
    archive(name, model);
    return true;
  } else if constexpr (parametrised<Model>) {
    auto&& all = model.parameters();
    archive(name, serialized_range<std::remove_reference_t<decltype(all)>>{all});
    return true;
  } else {
    return false;
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
