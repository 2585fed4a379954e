
use builtin;
use str;

set edit:completion:arg-completer[speculators] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'speculators'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'speculators'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand convert 'Rewrite a head in the layout that vLLM serves'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;convert'= {
            cand --verifier 'Directory of the verifier; its config is read, its weights are not'
            cand --algorithm 'Kind of head; recognized from the tensors where it is left out'
            cand -o 'Where to write the converted checkpoint'
            cand --output-path 'Where to write the converted checkpoint'
            cand --algorithm-kwargs 'Options as a JSON object, in the spelling of the Python package'
            cand --validate-device 'Accepted for scripts that pass it; the output is always validated, on the CPU'
            cand --verifier-name 'What the output calls its verifier [default: the path given]'
            cand --num-speculative-tokens 'Draft tokens per step that the output asks for [default: 3]'
            cand --aux-layers 'Verifier layers the head reads, each counted as "after this many layers have run"'
            cand --aux-convention 'What the source''s own layer ids count'
            cand --norm-before-residual 'The first layer''s residual is the normalized `fc` output'
            cand --norm-before-fc 'One norm over the concatenated layers before `fc`'
            cand --fc-norm 'One norm per layer before `fc`'
            cand --norm-output 'The normalized output is fed to the next draft step'
            cand --rope-theta 'Base of the rotary frequencies'
            cand --head-dim 'Channels per attention head'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --strict 'Refuse wherever something would have to be guessed'
            cand --dry-run 'Show the plan and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;validate'= {
            cand --verifier 'Directory of the verifier it is to run with'
            cand --deny 'Findings that make the checkpoint not valid, besides errors'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --no-scan 'Do not look at the values of the weights'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;inspect'= {
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --tensors 'List the tensors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;eval'= {
            cand --verifier 'Directory of the verifier: config, safetensors, tokenizer'
            cand --speculator 'Directory of the head, in any layout that `inspect` recognizes'
            cand --prompts 'Prompts, one JSON object a line'
            cand --num-speculative-tokens 'Draft tokens per step [default: what the checkpoint asks for]'
            cand --max-new-tokens 'Output limit per request, in tokens [default: 256; 64 in the demonstration]'
            cand --limit 'Take only the first prompts'
            cand --threads 'Worker threads [default: one per core]'
            cand --format 'Form of the report'
            cand --outputs 'Write ids, text and accepted tokens per step of each request'
            cand --compare 'Compare with another engine''s outputs (`id`, `output_token_ids` a line) and show where logits tie'
            cand --color 'When to use colors'
            cand --demo 'Evaluate the head that comes with this program; nothing else is needed'
            cand --force 'Replace the outputs file if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;doctor'= {
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --bandwidth 'Measure the memory''s read bandwidth; takes a second and 1 GiB'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;explain'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;completions'= {
            cand --write-to 'Write the completions of every shell and all man pages into this directory'
            cand --color 'When to use colors'
            cand --check 'Write nothing; exit with 1 where a file in that directory is stale or missing'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;help'= {
            cand convert 'Rewrite a head in the layout that vLLM serves'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;help;convert'= {
        }
        &'speculators;help;validate'= {
        }
        &'speculators;help;inspect'= {
        }
        &'speculators;help;eval'= {
        }
        &'speculators;help;doctor'= {
        }
        &'speculators;help;explain'= {
        }
        &'speculators;help;completions'= {
        }
        &'speculators;help;help'= {
        }
    ]
    $completions[$command]
}
