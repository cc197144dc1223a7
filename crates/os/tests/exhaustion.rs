//! What accepting does when the process has no descriptor left. One test, since the limit is the process's.

use gorust_os::net::{TcpListener, TcpStream, raise_fd_limit};
use gorust_reactor::clock::Instant;
use gorust_scheduler::block_on;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs::File, time::Duration};

#[test]
fn accepting_without_descriptors_fails_and_then_waits_before_it_tries_again() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let before = getrlimit(Resource::Nofile);
        let files: Vec<File> = {
            let full = Rlimit { current: Some(64), ..before };
            setrlimit(Resource::Nofile, full).unwrap();
            std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
        };
        let mut waited = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
            waited.push(start.elapsed());
        }
        assert!(waited[0] < Duration::from_secs(1));
        assert!(waited[1] >= Duration::from_millis(4) && waited[2] >= Duration::from_millis(9), "{waited:?}");
        drop(files);
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
        // All is well again, and the limit can be raised to what it may be.
        let start = Instant::now();
        let _next = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        listener.accept().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(raise_fd_limit().unwrap(), before.maximum.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    });
}
