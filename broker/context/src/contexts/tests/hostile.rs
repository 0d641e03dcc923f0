//! Origins that mean no good, and contexts that are more than they seem.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// An origin that answers everybody with these bytes, and then says nothing more.
struct Raw {
    base: String,
    _server: JoinSet<()>,
}

impl Raw {
    async fn start(bytes: Vec<u8>, closes: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                if stream.read(&mut request).await.unwrap() == 0 {
                    continue;
                }
                // A reader that has had enough closes before everything is written.
                let _ = stream.write_all(&bytes).await;
                if !closes {
                    open.push(stream);
                }
            }
        });
        Self { base, _server: server }
    }

    fn url(&self) -> String {
        format!("{}/a", self.base)
    }
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn is_unavailable(result: Result<Context, ContextError>) -> String {
    match result {
        Err(ContextError::NotAvailable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bomb_of_gzip_is_given_up_at_the_limit() {
    // Blocks of deflate that repeat one byte: 258 bytes for a code of two bits, over and over.
    let bomb = gzip_of_spaces(64 << 20);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let headers = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len());
    let origin = Raw::start(answer(&headers, &bomb), true).await;
    let reason = is_unavailable(link(&contexts(), &origin.url()).await);
    assert!(reason.contains("longer than 1048576 bytes"), "{reason}");
}

/// A gzip file of so many spaces, each block of it the same: a fixed-code block with one literal
/// and as many repetitions of it as fit.
fn gzip_of_spaces(length: usize) -> Vec<u8> {
    struct Bits(Vec<u8>, u32, u32);
    impl Bits {
        fn put(&mut self, value: u32, count: u32) {
            for bit in 0..count {
                self.1 |= ((value >> bit) & 1) << self.2;
                self.2 += 1;
                if self.2 == 8 {
                    self.0.push(u8::try_from(self.1).unwrap());
                    (self.1, self.2) = (0, 0);
                }
            }
        }

        /// Codes of Huffman stand with their highest bit first.
        fn code(&mut self, value: u32, count: u32) {
            (0..count).rev().for_each(|bit| self.put(value >> bit, 1));
        }
    }
    let mut bits = Bits(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], 0, 0);
    // The last block, with the fixed codes.
    bits.put(0b011, 3);
    bits.code(0x30 + u32::from(b' '), 8);
    for _ in 0..length / 258 {
        // Length 258, distance 1.
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    bits.code(0, 7);
    bits.put(0, 7);
    bits.0
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_says_nothing_is_waited_for_no_longer_than_the_patience_lasts() {
    let silent = Raw::start(Vec::new(), false).await;
    let halfway = Raw::start(answer("content-length: 1000\r\n", b"{\"@context\":"), false).await;
    let contexts = contexts();
    for origin in [&silent, &halfway] {
        let begin = Instant::now();
        is_unavailable(link(&contexts, &origin.url()).await);
        assert!(begin.elapsed() <= PATIENCE, "{:?}", begin.elapsed());
        let node = format!("[\"{}\", {{}}]", origin.url());
        let node = Node::parse(&node, Limits::default()).unwrap();
        let begin = Instant::now();
        assert!(contexts.prepared(&Tenant::default(), &node).await.is_err());
        assert!(begin.elapsed() <= PATIENCE, "{:?}", begin.elapsed());
        let begin = Instant::now();
        assert!(contexts.reload(&Tenant::default(), &origin.url()).await.is_err());
        assert!(begin.elapsed() <= PATIENCE, "{:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn nesting_without_end_is_no_json() {
    let deep = format!("{{\"@context\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let headers = format!("content-length: {}\r\n", deep.len());
    let origin = Raw::start(answer(&headers, deep.as_bytes()), true).await;
    assert!(reason(link(&contexts(), &origin.url()).await).contains("no JSON"));
}

#[tokio::test]
async fn what_is_kept_is_bounded_by_what_it_takes_up_and_not_by_its_length() {
    // Half a million numbers of two bytes each, which take up many times that as a tree.
    let numbers = format!("{{\"@context\": {{\"a\": [{}0]}}}}", "0,".repeat(400_000));
    let origin = Origin::start().await;
    let memory = 60 << 20;
    let contexts = Contexts::new(ContextsOptions { memory, ..options() }).unwrap();
    for number in 0..4 {
        let path = format!("/{number}");
        origin.put_page(&path, Page { status: 200, body: numbers.clone(), headers: Vec::new() });
        assert!(link(&contexts, &origin.url(&path)).await.is_err());
    }
    let kept = contexts.stored(&Tenant::default());
    let kept = kept.iter().filter(|kept| kept.origin == stored::Origin::Network).count();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn a_tenant_that_names_contexts_without_end_takes_none_away_from_others() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/a"}));
    let contexts = contexts();
    let quiet: Tenant = "quiet".parse().unwrap();
    let url = origin.url("/a");
    contexts.resolve(&quiet, ContextReference::Link(&url)).await.unwrap();
    for number in 0..1500 {
        inline(&contexts, &json!({"a": format!("https://e.example/{number}")})).await.unwrap();
        let url = format!("http://e.example/{number}");
        contexts.shared.by_url.write().insert(
            &Tenant::default(),
            &url,
            Held { context: Context::core(), fresh_until: Instant::now(), used: Arc::new([]) },
            (Arc::default(), 1000),
        );
    }
    assert!(contexts.cached(&quiet, ContextReference::Link(&url)).is_some());
}
