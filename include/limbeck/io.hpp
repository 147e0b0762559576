#ifndef LIMBECK_IO_HPP
#define LIMBECK_IO_HPP

/// @file
/// Files: NumPy's .npy and .npz, safetensors, and the teacher cache, by memory map. Needs nlohmann_json and zlib.

#include <limbeck/io/convert.hpp>
#include <limbeck/io/mapped_file.hpp>
#include <limbeck/io/npy.hpp>
#include <limbeck/io/npz.hpp>
#include <limbeck/io/safetensors.hpp>
#include <limbeck/io/sharded_teacher_cache_writer.hpp>
#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>

#endif
