from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get, load
from conan.tools.layout import basic_layout
from conan.tools.scm import Version
import os
import re

required_conan_version = ">=2.0"


class LimbeckConan(ConanFile):
    name = "limbeck"
    description = "Knowledge distillation on your own tensors: objectives that compile into one kernel"
    license = "BSL-1.0"
    topics = ("knowledge-distillation", "machine-learning", "deep-learning", "loss-functions", "simd", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "with_eigen": [True, False],
        "with_xtensor": [True, False],
        "with_thrust": [True, False],
        "with_openmp": [True, False],
        "with_trainer": [True, False],
        "with_io": [True, False],
        "with_dlpack": [True, False],
        "with_torch": [True, False],
        "with_mpi": [True, False],
    }
    default_options = {
        "with_eigen": False,
        "with_xtensor": False,
        "with_thrust": False,
        "with_openmp": False,
        "with_trainer": False,
        "with_io": False,
        "with_dlpack": False,
        "with_torch": False,
        "with_mpi": False,
        # What limbeck::thrust chooses where nobody says otherwise: a C++ compiler cannot serve CUDA.
        "thrust/*:device_system": "cpp",
    }
    no_copy_source = True

    # What this recipe has and a copy of it in ConanCenter has not: the version comes from the sources beside it, and
    # the sources are those of the checkout unless a conandata.yml says from where to get a release.
    def set_version(self):
        if not self.version:
            text = load(self, os.path.join(self.recipe_folder, "..", "include", "limbeck", "version.hpp"))
            self.version = ".".join(re.findall(r"#define LIMBECK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))

    def export_sources(self):
        if not self.conan_data:
            checkout = os.path.join(self.recipe_folder, "..")
            copy(self, "LICENSE", checkout, self.export_sources_folder)
            copy(self, "include/*", checkout, self.export_sources_folder)

    @property
    def _openmp_flags(self):
        return {"gcc": ["-fopenmp"], "clang": ["-fopenmp"]}.get(str(self.settings.compiler))

    def layout(self):
        basic_layout(self, src_folder="src" if self.conan_data else ".")

    def requirements(self):
        self.requires("boost/1.91.0")
        if self.options.with_eigen:
            self.requires("eigen/3.4.0")
        if self.options.with_xtensor:
            self.requires("xtensor/0.24.7")
            self.requires("xsimd/13.0.0")
        if self.options.with_thrust:
            self.requires("thrust/1.17.2")
        if self.options.with_trainer or self.options.with_io:
            self.requires("nlohmann_json/3.11.3")
        if self.options.with_io:
            self.requires("zlib/[>=1.2.11 <2]")
        if self.options.with_dlpack:
            self.requires("dlpack/1.2")
        if self.options.with_torch:
            self.requires("libtorch/2.9.1")
        if self.options.with_mpi:
            self.requires("openmpi/4.1.6")

    # The options choose requirements and targets; every package holds every header.
    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)
        minimum = {"gcc": "12", "clang": "14"}.get(str(self.settings.compiler))
        if minimum and Version(self.settings.compiler.version) < minimum:
            raise ConanInvalidConfiguration(f"{self.ref} needs {self.settings.compiler} {minimum} or later")
        if self.options.with_openmp and not self._openmp_flags:
            raise ConanInvalidConfiguration(f"{self.ref}: with_openmp knows the flags of gcc and clang only")

    def source(self):
        if self.conan_data:
            get(self, **self.conan_data["sources"][self.version], strip_root=True)

    # Suppresses the warning about a missing build()
    def build(self):
        pass

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        for pattern in ("*.hpp", "*.cuh"):
            copy(self, pattern, os.path.join(self.source_folder, "include"),
                 os.path.join(self.package_folder, "include"))

    def _add_component(self, name, requires):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"limbeck::{name}")
        component.set_property("pkg_config_name", "limbeck" if name == "limbeck" else f"limbeck-{name}")
        component.requires = requires
        component.bindirs = []
        component.libdirs = []
        return component

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "limbeck")
        # Before 1.0 a new minor version may break its users.
        self.cpp_info.set_property("cmake_config_version_compat", "SameMinorVersion")
        # The targets that the project's own config file offers are the components; this one is Conan's alone.
        self.cpp_info.set_property("cmake_target_name", "limbeck::limbeck-all-do-not-use")
        self.cpp_info.set_property("pkg_config_name", "limbeck-all-do-not-use")

        core = self._add_component("limbeck", ["boost::headers"])
        if self.settings.os in ["Linux", "FreeBSD"]:
            core.system_libs = ["m"]
        if self.options.with_eigen:
            self._add_component("eigen", ["limbeck", "eigen::eigen3"])
        if self.options.with_xtensor:
            self._add_component("xtensor", ["limbeck", "xtensor::xtensor", "xsimd::xsimd"])
        if self.options.with_thrust:
            self._add_component("thrust", ["limbeck", "thrust::thrust"])
        if self.options.with_openmp:
            openmp = self._add_component("openmp", ["limbeck"])
            openmp.cxxflags = openmp.sharedlinkflags = openmp.exelinkflags = self._openmp_flags
        if self.options.with_trainer:
            self._add_component("trainer", ["limbeck", "nlohmann_json::nlohmann_json"])
        if self.options.with_io:
            self._add_component("io", ["limbeck", "nlohmann_json::nlohmann_json", "zlib::zlib"])
        if self.options.with_dlpack:
            self._add_component("dlpack", ["limbeck", "dlpack::dlpack"])
        if self.options.with_torch:
            self._add_component("torch", ["limbeck", "libtorch::torch"])
        if self.options.with_mpi:
            self._add_component("mpi", ["limbeck", "openmpi::ompi-c"])
