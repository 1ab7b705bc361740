//! The native library on its way to the disk, on a machine that other people use.

use std::path::Path;
use std::process::Command;

/// Unpacks a library of seven bytes, and says which permissions its file has.
const UNPACKS: &str = r#"
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

public class Unpacks {
    public static void main(String[] arguments) throws Exception {
        var unpack = Class.forName("triton.flink.NativeLibrary")
                .getDeclaredMethod("unpack", java.io.InputStream.class);
        unpack.setAccessible(true);
        Path copy = (Path) unpack.invoke(null, new ByteArrayInputStream("library".getBytes()));
        System.out.println(PosixFilePermissions.toString(Files.getPosixFilePermissions(copy)) + " "
                + Files.readString(copy) + " " + copy.getParent());
    }
}
"#;

#[test]
fn the_unpacked_library_is_its_users_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/triton/flink");
    let program = folder.path().join("Unpacks.java");
    std::fs::write(&program, UNPACKS).unwrap();
    let compiled = Command::new("javac")
        .arg("-d")
        .arg(folder.path())
        .args(["NativeLibrary.java", "TritonException.java"].map(|name| sources.join(name)))
        .arg(&program)
        .output()
        .expect("a JDK of at least version 17, with javac and java on PATH");
    assert!(compiled.status.success(), "{compiled:?}");
    // With a umask that keeps nothing from anybody.
    let run = Command::new("sh")
        .args([
            "-c",
            "umask 0; exec java -cp \"$0\" -Djava.io.tmpdir=\"$0\" Unpacks",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    let expected = format!("rw------- library {}\n", folder.path().display());
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&run.stderr));
}
