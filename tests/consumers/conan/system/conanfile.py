# Stands for a package of ConanCenter and points at the one that the system has, so that Limbeck's recipe can be tried
# where no remote is reached: `conan export . --name eigen --version system`, and [replace_requires] in a profile.
from conan import ConanFile
from conan.tools.gnu import PkgConfig

# name -> (CMake file, component, CMake target, pkg-config module, libraries). What has no module lies in the compiler's
# own folders.
PACKAGES = {
    "boost": ("Boost", "headers", "Boost::headers", None, []),
    "eigen": ("Eigen3", "eigen3", "Eigen3::Eigen", "eigen3", []),
    "xtensor": ("xtensor", None, "xtensor", "xtensor", []),
    "xsimd": ("xsimd", None, "xsimd", "xsimd", []),
    "thrust": ("thrust", None, "thrust::thrust", None, []),
    "nlohmann_json": ("nlohmann_json", None, "nlohmann_json::nlohmann_json", "nlohmann_json", []),
    "zlib": ("ZLIB", None, "ZLIB::ZLIB", "zlib", ["z"]),
    "dlpack": ("dlpack", None, "dlpack::dlpack", None, []),
    "openmpi": ("openmpi", "ompi-c", "openmpi::ompi-c", "ompi-c", ["mpi"]),
}


class SystemConan(ConanFile):
    settings = "os", "arch", "compiler", "build_type"

    # ConanCenter's thrust has this option, which Limbeck's recipe sets; the others ignore it.
    options = {"device_system": ["cuda", "cpp", "omp", "tbb"]}
    default_options = {"device_system": "tbb"}

    def package_id(self):
        self.info.clear()

    def package_info(self):
        file_name, component, target, module, libraries = PACKAGES[self.name]
        self.cpp_info.set_property("cmake_file_name", file_name)
        self.cpp_info.set_property("cmake_target_name", target)
        info = self.cpp_info.components[component] if component else self.cpp_info
        info.set_property("cmake_target_name", target)
        info.includedirs, info.bindirs, info.libdirs = [], [], []
        if module:
            found = PkgConfig(self, module)
            info.includedirs = [folder for folder in found.includedirs if folder != "/usr/include"]
            info.set_property("system_package_version", found.version)
        info.system_libs = libraries
        if self.name == "thrust":
            info.defines = [f"THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_{str(self.options.device_system).upper()}"]
