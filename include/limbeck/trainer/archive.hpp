#ifndef LIMBECK_TRAINER_ARCHIVE_HPP
#define LIMBECK_TRAINER_ARCHIVE_HPP

/// @file
/// What a checkpoint stores of an object: whatever its `serialize` names.
///
/// State has one member, for saving and for loading:
///
///     template <class Archive> void serialize(Archive& archive) {
///       archive("step", step);            // a number or a bool
///       archive("velocity", velocity);    // std::vector of numbers: takes the stored length
///       archive("weights", std::span(w)); // std::span of numbers: its length is fixed
///       archive("name", name);            // std::string
///       archive("random", random);        // anything with a serialize of its own
///     }
///
/// Names of nested objects are joined by '/': `random/state`. A name is given once, and the same names are given
/// always: what is stored does not depend on the values.

#include <limbeck/core/config.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

class any_archive;

template <class T>
inline constexpr bool storable_number = std::is_arithmetic_v<T> && sizeof(T) <= 8 && !std::is_same_v<T, long double> &&
                                        !std::is_same_v<T, wchar_t>;
template <class T>
inline constexpr bool storable_list = false;
template <>
inline constexpr bool storable_list<std::string> = true;
template <class T>
inline constexpr bool storable_list<std::vector<T>> = storable_number<T> && !std::is_same_v<T, bool>;
template <class T>
inline constexpr bool storable_span = false;
template <class T, std::size_t N>
inline constexpr bool storable_span<std::span<T, N>> = storable_number<T>;

/// The name that safetensors has for a type of number.
template <class T>
constexpr std::string_view dtype_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return "BOOL";
  } else if constexpr (std::is_same_v<T, char>) {
    return "U8";  // text: the same on every machine
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? "F32" : "F64";
  } else if constexpr (std::is_signed_v<T>) {
    return sizeof(T) == 1 ? "I8" : sizeof(T) == 2 ? "I16" : sizeof(T) == 4 ? "I32" : "I64";
  } else {
    return sizeof(T) == 1 ? "U8" : sizeof(T) == 2 ? "U16" : sizeof(T) == 4 ? "U32" : "U64";
  }
}

}  // namespace detail

/// An object that says what it consists of: see the top of this file.
template <class T>
concept serializable = requires(T& x, detail::any_archive& a) {
  x.serialize(a);
};

namespace detail {

template <class State>
constexpr void require_serializable() {
  static_assert(serializable<State>,
                "limbeck: this state lacks `template <class Archive> void serialize(Archive&)`, or is const");
}

/// One thing that a state consists of: a number, a list, or numbers in a place of fixed length.
struct archived_item {
  std::string_view dtype;
  void* data;
  std::size_t count, width;          ///< numbers, and bytes of each
  enum { number, list, fixed } kind;
  void* object = nullptr;            ///< the list
  void* (*resize)(void* object, std::size_t count) = nullptr;  ///< gives its new data
};

/// Walks over an object and shows what it consists of, each item under its full name. Whatever a program saves, compares or
/// loads, a `serialize` is compiled for this type alone.
class any_archive {
 public:
  template <class T>
  void operator()(std::string_view name, T&& value) {
    using Bare = std::remove_cvref_t<T>;
    static_assert(storable_number<Bare> || storable_list<Bare> || storable_span<Bare> || serializable<Bare>,
                  "limbeck: a checkpoint stores numbers, bool, std::string, std::vector and std::span of numbers, and "
                  "objects with serialize(archive); this member is none of them (std::vector<bool> is none either)");
    const std::size_t outside = prefix_.size();
    prefix_ += (outside ? "/" : "");
    prefix_ += name;
    if constexpr (storable_number<Bare>) {
      item(prefix_, {dtype_of<Bare>(), const_cast<Bare*>(&value), 1, sizeof(Bare), archived_item::number});
    } else if constexpr (storable_list<Bare>) {
      using Number = typename Bare::value_type;
      item(prefix_, {dtype_of<Number>(), const_cast<Number*>(value.data()), value.size(), sizeof(Number), archived_item::list,
                     const_cast<Bare*>(&value), [](void* object, std::size_t n) -> void* {
                       auto& all = *static_cast<Bare*>(object);
                       all.resize(n);
                       return all.data();
                     }});
    } else if constexpr (storable_span<Bare>) {
      using Number = typename Bare::element_type;
      static_assert(!std::is_const_v<Number>, "limbeck: this span is of constant numbers, a checkpoint cannot be loaded into it");
      item(prefix_, {dtype_of<std::remove_const_t<Number>>(), const_cast<std::remove_const_t<Number>*>(value.data()),
                     value.size(), sizeof(Number), archived_item::fixed});
    } else if constexpr (serializable<Bare>) {
      value.serialize(*this);
    }
    prefix_.resize(outside);
  }

 protected:
  virtual void item(const std::string& name, const archived_item& x) = 0;
  any_archive() = default;
  ~any_archive() = default;

 private:
  std::string prefix_;
};

/// A range of spans of numbers, the parameters of a model, as an object with serialize: `0`, `1`, ...
template <class Range>
struct serialized_range {
  Range& range;
  template <class Archive>
  void serialize(Archive& archive) {
    std::size_t i = 0;
    for (auto&& part : range) archive(std::to_string(i++), std::span(part));
  }
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
